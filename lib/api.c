/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * api.c - public functions that need no file of their own
 */
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "args.h"
#include "codec/codec.h"
#include "damage.h"
#include "dump.h"
#include "format/format.h"
#include "kernel/early_log.h"
#include "kernel/filter.h"
#include "kernel/identify.h"
#include "kernel/printk.h"
#include "kernel/search.h"
#include "kernel/state.h"
#include "kernel/tasks.h"
#include "parallel.h"
#include "report/report.h"
#include "stacks/stacks_read.h"
#include "stacks/tables.h"
#include "write/plan.h"
#include "util/bits.h"
#include "util/cleanup.h"
#include "util/cursor.h"

struct gdump_error *write_plan_check(const struct gdump *g, const struct gdump_plan *plan)
{
	if (!plan || plan->source == g->source)
		return NULL;
	return error_new(GDUMP_ERR_USAGE, "the plan was created for another image");
}

/* Whether a result of @size bytes has this member */
#define RESULT_HAS(size, member) ((size) >= ARGS_LEAST(struct gdump_result, member))

void write_result(struct gdump_result *to, const struct gdump_result *result)
{
	const size_t size = to ? to->size : 0;

	if (to)
		args_return(to, result, sizeof(*result));
	/* strings for which the struct of the caller has no member */
	if (!RESULT_HAS(size, partial_path))
		free(result->partial_path);
	if (!RESULT_HAS(size, first_error))
		free(result->first_error);
	if (!RESULT_HAS(size, num_damaged))
		free(result->damaged);
	if (!RESULT_HAS(size, tables_error))
		free(result->tables_error);
}

void gdump_result_deinit(struct gdump_result *result)
{
	if (RESULT_HAS(result->size, partial_path)) {
		free(result->partial_path);
		result->partial_path = NULL;
	}
	if (RESULT_HAS(result->size, first_error)) {
		free(result->first_error);
		result->first_error = NULL;
	}
	if (RESULT_HAS(result->size, num_damaged)) {
		free(result->damaged);
		result->damaged = NULL;
		result->num_damaged = 0;
	}
	if (RESULT_HAS(result->size, tables_error)) {
		free(result->tables_error);
		result->tables_error = NULL;
	}
}

const struct gdump_info *gdump_info(const struct gdump *g)
{
	return &g->info;
}

struct gdump_error *gdump_protection(struct gdump *g, struct gdump_protection *ret)
{
	const struct encryption_ops *crypt = g->source->ops->encryption;
	struct gdump_protection found = { .size = ret->size };
	struct gdump_error *err = args_check(ret, ARGS_LEAST(struct gdump_protection, kind),
					     "gdump_protection");

	if (!err && crypt && crypt->protection)
		err = crypt->protection(g->source, &found);
	if (err)
		return error_prefix(err, "%s", g->where);
	args_return(ret, &found, sizeof(found));
	return NULL;
}

bool gdump_register_at(const struct gdump *g, size_t cpu, size_t i, struct gdump_register *ret)
{
	return register_at(&g->source->image, cpu, i, ret);
}

struct gdump_error *gdump_read(struct gdump *g, uint64_t paddr, void *buf, size_t len)
{
	struct gdump_error *err = source_has(g->source, paddr, len);

	if (!err)
		err = source_read(g->source, paddr, buf, len);
	return error_prefix(err, "%s", g->where);
}

/* Before much of memory is read: what does not fit the checksum of a file cannot be read from now on. */
static struct gdump_error *api_prepare(struct source *s)
{
	damage_guard(s);
	return source_usable(s);
}

/* There is no VMCOREINFO: without a log, say what there is in memory. */
static struct gdump_error *api_early_log(struct source *s, gdump_log_fn *fn, void *arg)
{
	struct gdump_system found = { .size = sizeof(found) };
	struct gdump_error *err = early_log_read(s, &found, fn, arg);

	if (!err || !search_is_possible(s) || gdump_error_code(err) != GDUMP_ERR_UNSUPPORTED)
		return error_prefix(err, "cannot find the log: there is no VMCOREINFO");
	gdump_error_destroy(err);
	if (found.release[0])
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "cannot find the log: there is no VMCOREINFO, and memory has no log "
				 "from boot on of its kernel, Linux %s", found.release);
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "cannot find the log: there is no VMCOREINFO, and memory has no Linux "
			 "kernel, but %s", found.name[0] ? found.name : "nothing that is known");
}

struct gdump_error *gdump_log(struct gdump *g, gdump_log_fn *fn, void *arg)
{
	struct gdump_error *err = api_prepare(g->source);

	if (!err && g->source->image.vmcoreinfo)
		err = printk_read(g->source, fn, arg);
	else if (!err)
		err = api_early_log(g->source, fn, arg);
	return error_prefix(err, "%s", g->where);
}

struct gdump_error *gdump_find_system(struct gdump *g, struct gdump_system *ret)
{
	struct gdump_system found = { .size = ret->size };
	struct gdump_error *err = args_check(ret, ARGS_LEAST(struct gdump_system, paddr),
					     "gdump_system");

	if (!err)
		err = source_usable(g->source);
	if (!err)
		err = identify_system(g->source, &found);
	if (err)
		return error_prefix(err, "%s", g->where);
	args_return(ret, &found, sizeof(found));
	return NULL;
}

struct gdump_error *gdump_kernel(struct gdump *g, struct gdump_kernel *ret)
{
	struct gdump_kernel found = { .size = ret->size };
	struct gdump_error *err = args_check(ret, ARGS_LEAST(struct gdump_kernel, has_uptime),
					     "gdump_kernel");

	if (!err)
		err = source_usable(g->source);
	if (!err)
		err = state_read(g->source, &found);
	if (err)
		return error_prefix(err, "%s", g->where);
	args_return(ret, &found, sizeof(found));
	return NULL;
}

struct gdump_error *gdump_tasks(struct gdump *g, gdump_task_fn *fn, void *arg)
{
	struct gdump_error *err = source_usable(g->source);

	if (!err)
		err = tasks_read(g->source, fn, arg);
	return error_prefix(err, "%s", g->where);
}

struct gdump_error *gdump_tables_read(struct gdump *g, struct gdump_tables **ret)
{
	struct gdump_error *err = source_usable(g->source);

	if (!err)
		err = tables_read(g->source, ret);
	return error_prefix(err, "%s", g->where);
}

struct gdump_error *gdump_stacks(struct gdump *g, const struct gdump_stacks_options *opt,
				 gdump_stack_fn *fn, void *arg)
{
	struct gdump_stacks_options taken = { .size = sizeof(taken) };
	struct gdump_error *err = args_take(&taken, sizeof(taken), opt,
					    ARGS_LEAST(struct gdump_stacks_options, number),
					    "gdump_stacks_options");

	if (!err && (taken.which < GDUMP_STACKS_IMPORTANT || taken.which > GDUMP_STACKS_CPU))
		err = error_new(GDUMP_ERR_USAGE, "gdump_stacks_options.which: %d is not valid",
				taken.which);
	if (!err)
		err = api_prepare(g->source);
	if (!err)
		err = stacks_read(g->source, &taken, fn, arg);
	return error_prefix(err, "%s", g->where);
}

struct gdump_error *gdump_report(struct gdump *g, const struct gdump_report_options *opt,
				 const struct gdump_fact **ret)
{
	struct gdump_report_options taken = { .size = sizeof(taken) };
	struct gdump_error *err = args_take(&taken, sizeof(taken), opt,
					    ARGS_LEAST(struct gdump_report_options, all),
					    "gdump_report_options");

	if (!err)
		err = api_prepare(g->source);
	if (!err)
		err = report_read(g->source, &taken, ret);
	return error_prefix(err, "%s", g->where);
}

const char *gdump_report_section(size_t i)
{
	const struct section *s = section_at(i);

	return s ? s->name : NULL;
}

struct gdump_error *gdump_resume(struct gdump *g)
{
	return error_prefix(source_resume(g->source), "%s", g->where);
}

uint64_t gdump_paused_us(const struct gdump *g)
{
	const struct guest_ops *guest = g->source->ops->guest;

	return guest && guest->paused_us ? guest->paused_us(g->source) : 0;
}

/* A plan of all pages without those in @drop; @survey: it is only for statistics. */
static struct gdump_error *api_make_plan(struct source *s, unsigned int drop, bool survey,
					 struct gdump_plan **ret)
{
	CLEANUP_PLAN struct gdump_plan *plan = NULL;
	struct gdump_error *err = plan_create(s, &plan);

	if (err)
		return err;
	plan->survey = survey;
	if (drop)
		damage_guard(s);
	if (drop)
		err = source_pause(s, false);
	if (!err && drop)
		err = filter_plan(plan, s, drop);
	if (err)
		return err;
	*ret = TAKE_PTR(plan);
	return NULL;
}

struct gdump_error *gdump_plan_create(struct gdump *g, unsigned int drop, struct gdump_plan **ret)
{
	struct gdump_error *err = source_dumpable(g->source, !drop);

	if (err)
		return error_prefix(err, "%s", g->where);
	if (drop > 31)
		return error_new(GDUMP_ERR_USAGE, "there is no dump level %u; 31 is the highest",
				 drop);
	return api_make_plan(g->source, drop, false, ret);
}

struct gdump_error *gdump_plan_survey(struct gdump *g, struct gdump_plan **ret)
{
	struct gdump_error *err = source_usable(g->source);

	return err ? error_prefix(err, "%s", g->where) : api_make_plan(g->source, 31, true, ret);
}

bool gdump_format_at(size_t i, struct gdump_format_info *ret)
{
	const struct format *f = format_at(i);

	if (f)
		*ret = (struct gdump_format_info){ .name = f->name, .summary = f->summary,
						   .reads = format_reads(f), .writes = f->create,
						   .some_guests_only = f->check };
	return f;
}

bool gdump_codec_at(size_t i, struct gdump_codec_info *ret)
{
	const struct codec *c = codec_at(i);

	if (c)
		*ret = (struct gdump_codec_info){ .name = c->name, .library = c->library };
	return c;
}

const char *gdump_arch_name(size_t i)
{
	const struct arch *a = arch_at(i);

	return a ? a->name : NULL;
}

const char *gdump_version(void)
{
	return GUESTDUMP_VERSION;
}

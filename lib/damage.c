/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * damage.c - what of a dump's memory may be wrong
 *
 * There are three proofs: each page can be read; headers, tables and data agree
 * (source_ops.verify); and the checksum, if there is one.  Each says which memory may be wrong.
 */
#include "damage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "checksum.h"
#include "checksum_view.h"
#include "parallel.h"
#include "util/cleanup.h"
#include "write/pipeline.h"
#include "write/plan.h"

static void damage_deinit(struct damage *d)
{
	spans_deinit(&d->memory);
}
#define CLEANUP_DAMAGE __attribute__((__cleanup__(damage_deinit)))

/* Keep the first error. */
static void damage_keep_error(struct gdump_error **first, struct gdump_error *err)
{
	if (*first)
		gdump_error_destroy(err);
	else
		*first = err;
}

/* How to compare the checksum of a file */
struct damage_way {
	bool whole;                     /* read all of it now; else compare what is read later */
	unsigned int threads;
};

static struct gdump_error *damage_compare_file(const struct damage_way *way, struct bytes *file,
					       struct spans *broken, bool *there)
{
	if (way->whole)
		return checksum_verify(checksum_view_plain(file), way->threads, broken, there);
	return checksum_view_enforce(file, broken, there);
}

/* Compare the checksum of one file, if it has one or its header says so. */
static struct gdump_error *damage_verify_file(struct source *s, struct bytes *file,
					      const struct damage_way *way, struct damage *to,
					      bool *there)
{
	CLEANUP_SPANS struct spans broken = { 0 };
	struct gdump_error *err = damage_compare_file(way, file, &broken, there);
	CLEANUP_ERROR struct gdump_error *other = NULL;

	if (!err && !*there && s->image.has_checksum && !s->image.incomplete)
		err = error_new(GDUMP_ERR_CORRUPT,
				"the checksum that the header announces is not at the end of the file: bytes were appended, or its end was cut off");
	if (broken.num)
		other = source_affected(s, file, &broken, to);
	return err ? err : TAKE_PTR(other);
}

/* A split dump has a checksum if each of its files has one. */
static struct gdump_error *damage_verify_files(struct source *s, const struct damage_way *way,
					       struct damage *to, bool *has_checksum)
{
	struct gdump_error *first = NULL;

	*has_checksum = s->num_files;
	for (size_t i = 0; i < s->num_files; i++) {
		bool there = false;

		damage_keep_error(&first, damage_verify_file(s, s->files[i], way, to, &there));
		*has_checksum &= there;
	}
	return first;
}

static void damage_relax(struct source *s)
{
	for (size_t i = 0; i < s->num_files; i++)
		checksum_view_relax(s->files[i]);
}

void damage_guard(struct source *s)
{
	for (size_t i = 0; i < s->num_files; i++) {
		CLEANUP_SPANS struct spans broken = { 0 };
		bool there;

		gdump_error_destroy(checksum_view_enforce(s->files[i], &broken, &there));
	}
}

static struct gdump_error *damage_of_pages(const struct gdump_result *result)
{
	return error_new(GDUMP_ERR_CORRUPT, "%" PRIu64 " page%s broken; the first: %s",
			 result->unreadable, result->unreadable == 1 ? " is" : "s are",
			 result->first_error ? result->first_error : "unknown");
}

/* Read all pages; those that cannot be read are damaged. */
static struct gdump_error *damage_read_pages(struct source *s,
					     const struct gdump_write_options *opt,
					     struct damage *to, struct gdump_result *result)
{
	CLEANUP_PLAN struct gdump_plan *plan = NULL;
	const struct pipeline_options run = {
		.threads = parallel_threads(opt->threads), .lost = &to->memory,
		.progress = opt->progress, .progress_arg = opt->progress_arg, .pull = true,
	};
	struct gdump_error *err = plan_create(s, &plan);

	return err ? err : pipeline_run(s, plan, NULL, &run, result);
}

static struct gdump_error *damage_to_result(struct damage *d, struct gdump_result *result)
{
	result->tables_damaged = d->tables;
	spans_sort(&d->memory);
	if (!d->memory.num)
		return NULL;
	result->damaged = calloc(d->memory.num, sizeof(*result->damaged));
	if (!result->damaged)
		return error_nomem();
	result->num_damaged = d->memory.num;
	for (size_t i = 0; i < d->memory.num; i++)
		result->damaged[i] = (struct gdump_range){ .start = d->memory.list[i].start,
							   .size = d->memory.list[i].size };
	return NULL;
}

struct gdump_error *damage_find(struct source *s, const struct gdump_write_options *opt,
				struct gdump_result *result)
{
	CLEANUP_DAMAGE struct damage found = { 0 };
	const struct damage_way way = { true, parallel_threads(opt->threads) };
	struct gdump_error *err;

	damage_relax(s);
	err = damage_read_pages(s, opt, &found, result);
	if (err)
		return err;
	if (result->unreadable)
		err = damage_of_pages(result);
	if (s->ops->verify)
		damage_keep_error(&err, s->ops->verify(s, &found));
	damage_keep_error(&err, damage_verify_files(s, &way, &found, &result->has_checksum));
	damage_keep_error(&err, damage_to_result(&found, result));
	return err;
}

struct gdump_error *damage_avoid(struct source *s, bool salvage, unsigned int threads,
				 struct gdump_result *result)
{
	CLEANUP_DAMAGE struct damage found = { 0 };
	CLEANUP_ERROR struct gdump_error *why = NULL;
	const struct damage_way way = { salvage, threads };

	spans_deinit(&s->damaged);
	damage_relax(s);
	if (s->ops->verify)
		why = s->ops->verify(s, &found);
	damage_keep_error(&why, damage_verify_files(s, &way, &found, &result->has_checksum));
	/* something is wrong, and it is unknown what */
	found.tables |= why && !found.memory.num;
	if (why && gdump_error_code(why) == GDUMP_ERR_NOMEM)
		return TAKE_PTR(why);
	spans_sort(&found.memory);
	s->damaged = found.memory;
	found.memory = (struct spans){ 0 };
	s->image.incomplete |= found.tables;
	result->tables_damaged = found.tables;
	if (why && found.tables)
		result->tables_error = strdup(gdump_error_message(why));
	return NULL;
}

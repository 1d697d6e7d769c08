/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <string.h>

#include "copy.h"
#include "progress.h"
#include "run_state.h"

static void print_json(const struct copy *c, const struct gdump_info *info)
{
	const struct gdump_result *r = &c->result;

	fprintf(stderr, "{\"event\": \"done\", \"pages\": %" PRIu64 ", \"zero\": %" PRIu64
		", \"compressed\": %" PRIu64 ", \"uncompressed\": %" PRIu64
		", \"unreadable\": %" PRIu64 ", \"zero_filled\": %" PRIu64
		", \"page_size\": %" PRIu32 ", \"bytes\": %" PRIu64
		", \"seconds\": %.3f, \"paused_ms\": %.3f, \"stalled_ms\": %.3f}\n",
		r->pages, r->zero, r->compressed, r->uncompressed, r->unreadable, r->zero_filled,
		info->page_size, r->bytes, progress_seconds(), (double)c->paused_us / 1000,
		(double)r->stalled_us / 1000);
	fflush(stderr);
}

/* Milliseconds; short times with one decimal */
struct ms_text { char text[32]; };

static struct ms_text ms_text(uint64_t us)
{
	struct ms_text ret;

	snprintf(ret.text, sizeof(ret.text), us < 10000 ? "%.1f ms" : "%.0f ms", (double)us / 1000);
	return ret;
}

void copy_report_guest(const struct copy *c, const struct gdump_info *info)
{
	if (!info->is_guest || progress_is_quiet() || progress_is_json())
		return;
	if (info->was_running)
		say("guest resumed after a pause of %s", ms_text(c->paused_us).text);
	else
		say("guest was not running, and stays so%s", run_state_text(info).text);
	if (info->live && c->result.stalled_us)
		say("longest stall of QEMU's snapshot: %s", ms_text(c->result.stalled_us).text);
}

static void say_summary(const struct copy *c, const struct gdump_info *info)
{
	const struct gdump_result *r = &c->result;
	const double seconds = progress_seconds();
	const uint64_t bytes = r->pages * info->page_size;

	say("%s: %s from %s of memory in %.2f s (%s/s); %" PRIu64 " pages: %" PRIu64 " zero, %" PRIu64
	    " compressed, %" PRIu64 " stored uncompressed",
	    !strcmp(c->to, "-") ? "standard output" : c->to, size_text(r->bytes).text,
	    size_text(bytes).text, seconds,
	    size_text((uint64_t)((double)bytes / (seconds > 0.001 ? seconds : 0.001))).text,
	    r->pages, r->zero, r->compressed, r->uncompressed);
}

static void say_losses(const struct copy *c, const struct gdump_info *info)
{
	const struct gdump_result *r = &c->result;

	if (r->unreadable)
		say("%" PRIu64 " pages could not be read and are missing from %s; the first: %s",
		    r->unreadable, c->to, r->first_error ? r->first_error : "unknown");
	if (r->zero_filled)
		say("%" PRIu64 " pages are missing from the input and are zero in %s: its format cannot omit them",
		    r->zero_filled, c->to);
	if (info->num_lost_cpus)
		say("the registers of %zu of %zu CPUs could not be read and are zero in %s",
		    info->num_lost_cpus, info->num_cpus, c->to);
	if (r->lost_cpus)
		say("the registers of %" PRIu64 " of %zu CPUs are missing from %s: its format has no place for them",
		    r->lost_cpus, info->num_cpus, c->to);
	if (r->tables_error)
		say("the headers or tables of %s are damaged, so any page of %s may be wrong: %s",
		    c->from, c->to, r->tables_error);
	else if (info->incomplete)
		say("%s was cut short itself, so %s is incomplete as well", c->from, c->to);
}

int copy_report_success(const struct copy *c, const struct gdump_info *info)
{
	if (progress_is_json())
		print_json(c, info);
	else if (!progress_is_quiet())
		say_summary(c, info);
	copy_report_guest(c, info);
	say_losses(c, info);
	if (c->result.unreadable || info->incomplete || info->num_lost_cpus)
		return EXIT_INCOMPLETE;
	return c->unfiltered ? EXIT_UNFILTERED : EXIT_DONE;
}

int copy_report_failure(const struct copy *c, struct gdump_error *err)
{
	const unsigned int split = c->args->write.split;
	const char *partial = c->result.partial_path;
	int status = fail(err);

	if (!partial)
		return status;
	if (split > 1)
		say("%s to %s-%u.incomplete contain the %" PRIu64 " pages that were written, and are marked as incomplete",
		    partial, c->to, split, c->result.pages);
	else
		say("%s contains the %" PRIu64 " pages that were written, and is marked as incomplete",
		    partial, c->result.pages);
	return status == EXIT_FAILED ? EXIT_INCOMPLETE : status;
}

void copy_report_canceled(const struct copy *c)
{
	say("guest resumed after a pause of %s; the rest of the snapshot took %.1f s",
	    ms_text(c->paused_us).text, progress_seconds() - c->canceled_at);
}

void copy_report_estimate(const struct gdump_plan *plan, uint64_t pages, uint64_t bytes)
{
	const uint64_t kept = gdump_plan_kept(plan);

	if (progress_is_json())
		printf("{\"event\": \"estimate\", \"pages\": %" PRIu64 ", \"kept\": %" PRIu64
		       ", \"bytes\": %" PRIu64 "}\n", pages, kept, bytes);
	else
		printf("%" PRIu64 " of %" PRIu64 " pages would be kept; about %s\n", kept, pages,
		       size_text(bytes).text);
}

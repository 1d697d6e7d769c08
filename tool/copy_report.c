/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "copy.h"
#include "event.h"
#include "failure.h"
#include "json.h"
#include "progress.h"
#include "run_state.h"

void copy_report_start(const struct copy *c)
{
	if (!events_are_wanted())
		return;
	event_put("start", json_pack("{s:s, s:s, s:o, s:o, s:o}", "command", c->args->command->name,
				     "version", gdump_version(), "input", json_string_of(c->from),
				     "output", json_string_of(c->to), "start_time",
				     json_count((uint64_t)time(NULL))));
}

void copy_report_pause(const struct copy *c, const struct gdump_info *info)
{
	if (!info->is_guest || !events_are_wanted())
		return;
	event_put("pause", json_pack("{s:b, s:o, s:o}", "was_running", info->was_running, "run_state",
				     json_string_of(info->run_state), "paused_seconds",
				     json_seconds_of_us(c->paused_us)));
}

static void put_done(const struct copy *c, const struct gdump_info *info, int status)
{
	const struct gdump_result *r = &c->result;
	json_t *o = json_pack("{s:i, s:o, s:o, s:o}", "status", status, "output",
			      json_string_of(c->to), "bytes", json_count(r->bytes), "page_size",
			      json_count(info->page_size));

	json_object_update_new(o, json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o}", "pages", json_count(r->pages), "zero",
		json_count(r->zero), "compressed", json_count(r->compressed), "uncompressed",
		json_count(r->uncompressed), "unreadable", json_count(r->unreadable),
		"zero_filled", json_count(r->zero_filled)));
	json_object_update_new(o, json_pack(
		"{s:o, s:o, s:o}", "seconds", json_seconds(progress_seconds()), "paused_seconds",
		json_seconds_of_us(c->paused_us), "stalled_seconds",
		json_seconds_of_us(r->stalled_us)));
	event_put("done", o);
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
	if (!info->is_guest || progress_is_quiet() || events_are_json())
		return;
	if (info->was_running && c->paused_us)
		say("guest resumed after a pause of %s", ms_text(c->paused_us).text);
	else if (!info->was_running)
		say("guest was not running, and stays so%s", run_state_text(info).text);
	if (info->live && c->result.stalled_us)
		say("longest stall of the snapshot: %s", ms_text(c->result.stalled_us).text);
}

/* The output in messages */
static const char *output_text(const struct copy *c)
{
	return strcmp(c->to, "-") ? c->to : "standard output";
}

static void say_summary(const struct copy *c, const struct gdump_info *info)
{
	const struct gdump_result *r = &c->result;
	const double seconds = progress_seconds();
	const uint64_t bytes = r->pages * info->page_size;

	say("%s: %s from %s of memory in %.2f s (%s/s); %s: %" PRIu64 " zero, %" PRIu64
	    " compressed, %" PRIu64 " stored uncompressed",
	    output_text(c), size_text(r->bytes).text,
	    size_text(bytes).text, seconds,
	    size_text((uint64_t)((double)bytes / (seconds > 0.001 ? seconds : 0.001))).text,
	    pages_text(r->pages).text, r->zero, r->compressed, r->uncompressed);
}

static const char *is_or_are(uint64_t num)
{
	return num == 1 ? "is" : "are";
}

static void warn_of_lost_pages(const struct copy *c)
{
	const struct gdump_result *r = &c->result;
	const char *to = output_text(c);

	if (c->args->write.salvage && !r->has_checksum)
		warn("%s has no checksum: only what cannot be read is known to be damaged", c->from);
	if (r->unreadable)
		warn("%s could not be read and %s %s %s; the first: %s",
		     pages_text(r->unreadable).text, is_or_are(r->unreadable),
		     r->lost_are_zero ? "zero in" : "missing from", to,
		     r->first_error ? r->first_error : "unknown");
	if (r->zero_filled)
		warn("%s %s missing from the input and zero in %s: its format cannot omit pages",
		     pages_text(r->zero_filled).text, is_or_are(r->zero_filled), to);
	if (r->unmarked)
		warn("nothing in %s says that it is incomplete: %s", to, strcmp(c->to, "-") ?
		     "its format has no place for that" :
		     "that could only be written before its pages");
}

static void warn_of_losses(const struct copy *c, const struct gdump_info *info)
{
	const struct gdump_result *r = &c->result;

	warn_of_lost_pages(c);
	if (info->num_lost_cpus)
		warn("the registers of %zu of %zu CPUs could not be read and are zero in %s",
		    info->num_lost_cpus, info->num_cpus, output_text(c));
	if (r->lost_cpus)
		warn("the registers of %" PRIu64 " of %zu CPUs are missing from %s: its format has no place for them",
		    r->lost_cpus, info->num_cpus, output_text(c));
	if (r->tables_error)
		warn("the headers or tables of %s are damaged, so any page of %s may be wrong: %s",
		     c->from, output_text(c), r->tables_error);
	else if (info->incomplete)
		warn("%s is incomplete itself, so %s is incomplete as well", c->from, output_text(c));
}

int copy_report_success(const struct copy *c, const struct gdump_info *info)
{
	int status = c->unfiltered ? EXIT_UNFILTERED : EXIT_DONE;

	if (!progress_is_quiet() && !events_are_json())
		say_summary(c, info);
	if (c->result.unreadable || info->incomplete || info->num_lost_cpus)
		status = EXIT_INCOMPLETE;
	copy_report_guest(c, info);
	warn_of_losses(c, info);
	if (events_are_wanted())
		put_done(c, info, status);
	return status;
}

static void say_partial(const struct copy *c)
{
	const struct gdump_result *r = &c->result;
	const unsigned int split = c->args->write.split;
	const uint64_t other = c->planned > r->pages ? c->planned - r->pages : 0;
	const char *others = r->lost_are_zero ? "zero there" : "missing";

	if (split > 1)
		say("%s to %s-%u.incomplete contain %" PRIu64 " of %s; the other %" PRIu64 " are %s",
		    r->partial_path, c->to, split, r->pages, pages_text(c->planned).text, other, others);
	else
		say("%s contains %" PRIu64 " of %s; the other %" PRIu64 " are %s", r->partial_path, r->pages,
		    pages_text(c->planned).text, other, others);
}

int copy_report_failure(const struct copy *c, struct gdump_error *err)
{
	struct failure f = failure_of(err);
	int status;

	f.partial = c->result.partial_path;
	f.partial_pages = c->result.pages;
	if (f.partial && f.status == EXIT_FAILED)
		f.status = EXIT_INCOMPLETE;
	status = failure_report(&f);
	if (f.partial && !events_are_json())
		say_partial(c);
	return status;
}

void copy_report_canceled(const struct copy *c)
{
	say("guest resumed after a pause of %s; the rest of the snapshot took %.1f s",
	    ms_text(c->paused_us).text, progress_seconds() - c->canceled_at);
}

/* Lines as an array; NULL becomes null. */
static json_t *json_lines(const char *lines)
{
	json_t *array = lines ? json_array() : json_null();

	for (size_t len; lines && *lines; lines += len + (lines[len] == '\n')) {
		len = strcspn(lines, "\n");
		json_array_append_new(array, json_text(lines, len));
	}
	return array;
}

static void print_effects(const char *guest, const char *lines)
{
	if (!lines)
		return;
	printf("the process of %s was not stopped or changed; a dump would do this to it, and nothing else:\n",
	       guest);
	for (size_t len; *lines; lines += len + (lines[len] == '\n')) {
		len = strcspn(lines, "\n");
		printf("  %.*s\n", (int)len, lines);
	}
}

void copy_report_estimate(const char *input, const struct gdump_plan *plan,
			  const struct gdump_info *info, uint64_t bytes)
{
	const uint64_t kept = gdump_plan_kept(plan);

	if (events_are_json()) {
		json_line(stdout, "estimate", json_pack(
			"{s:o, s:o, s:o, s:o}", "pages", json_count(info->num_pages), "kept", json_count(kept),
			"bytes", json_count(bytes), "effects", json_lines(info->effects)));
		return;
	}
	printf("%" PRIu64 " of %" PRIu64 " pages would be kept; about %s\n", kept, info->num_pages,
	       size_text(bytes).text);
	print_effects(input, info->effects);
}

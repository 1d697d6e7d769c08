/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "plan.h"

#include <inttypes.h>
#include <stdio.h>

#include "event.h"
#include "json.h"
#include "progress.h"
#include "tool.h"

static const struct kind {
	enum gdump_drop why;
	const char *name, *key;
} kinds[] = {
	{ GDUMP_DROP_FREE, "free", "free" },
	{ GDUMP_DROP_USER, "user", "user" },
	{ GDUMP_DROP_CACHE, "cache", "cache" },
	{ GDUMP_DROP_CACHE_PRIVATE, "private cache", "private" },
	{ GDUMP_DROP_OFFLINE, "offline", "offline" },
	{ GDUMP_DROP_HWPOISON, "broken", "broken" },
	{ GDUMP_DROP_ABSENT, "already missing from the input", "absent" },
};
enum { NUM_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static struct size_text bytes_of(const struct gdump *g, uint64_t pages)
{
	return size_text(pages * gdump_info(g)->page_size);
}

static json_t *json_pages(const struct gdump *g, uint64_t pages)
{
	return json_pack("{s:o, s:o}", "pages", json_count(pages), "bytes",
			 json_count(pages * gdump_info(g)->page_size));
}

json_t *json_page_kinds(const struct gdump *g, const struct gdump_plan *plan)
{
	json_t *o = json_pack("{s:o}", "kept", json_pages(g, gdump_plan_kept(plan)));

	for (size_t i = 0; i < NUM_KINDS; i++)
		json_object_set_new(o, kinds[i].key,
				    json_pages(g, gdump_plan_dropped(plan, kinds[i].why)));
	return json_pack("{s:o, s:o}", "page_kinds", o, "page_kinds_warning",
			 json_string_of(gdump_plan_warning(plan)));
}

static void put_plan(const struct gdump *g, const struct gdump_plan *plan, unsigned int level)
{
	json_t *o = json_page_kinds(g, plan);

	json_object_set_new(o, "dump_level", json_count(level));
	event_put("plan", o);
}

void say_plan(const struct gdump *g, const struct gdump_plan *plan, unsigned int level)
{
	const uint64_t kept = gdump_plan_kept(plan);
	char text[512] = "";
	size_t len = 0;

	if (gdump_plan_warning(plan))
		warn("%s", gdump_plan_warning(plan));
	if (events_are_wanted())
		put_plan(g, plan, level);
	if (!level || progress_is_quiet() || events_are_json())
		return;
	for (size_t i = 0; i < NUM_KINDS; i++) {
		const uint64_t n = gdump_plan_dropped(plan, kinds[i].why);

		if (n && len < sizeof(text))
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s%" PRIu64 " %s (%s)", len ? ", " : "", n,
						kinds[i].name, bytes_of(g, n).text);
	}
	say("keeping %s (%s)%s%s", pages_text(kept).text, bytes_of(g, kept).text,
	    text[0] ? "; omitting " : "", text);
}

bool plan_is_unfiltered(const struct gdump_plan *plan, unsigned int level)
{
	uint64_t omitted = 0;

	for (unsigned int bit = GDUMP_DROP_CACHE; bit <= GDUMP_DROP_FREE; bit *= 2)
		omitted += gdump_plan_dropped(plan, bit);
	return level & ~(unsigned int)GDUMP_DROP_ZERO && gdump_plan_warning(plan) && !omitted;
}

static void print_kind(const struct gdump *g, uint64_t pages, const char *name)
{
	if (pages)
		printf("  %12" PRIu64 "  %10s  %s\n", pages, bytes_of(g, pages).text, name);
}

void print_kinds(const struct gdump *g, const struct gdump_plan *plan)
{
	if (gdump_plan_warning(plan)) {
		printf("pages       of unknown kinds: %s\n", gdump_plan_warning(plan));
		return;
	}
	printf("pages       by kind%s:\n",
	       gdump_info(g)->is_guest ? ", while the guest was running" : "");
	print_kind(g, gdump_plan_kept(plan), "kept");
	for (size_t i = 0; i < NUM_KINDS; i++)
		print_kind(g, gdump_plan_dropped(plan, kinds[i].why), kinds[i].name);
}

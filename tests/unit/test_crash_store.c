/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "crash_store.h"
#include "no_commands.h"

static char dir[] = "/tmp/test_crash_store.XXXXXX";

/* Nothing fails here. */
static bool good(bool done, struct failure *why)
{
	if (!done) {
		fprintf(stderr, "%s\n", why->message);
		failure_deinit(why);
	}
	return done;
}

static void test_a_crash(void)
{
	const struct crash_facts facts = { .guest = "web/1", .reason = "panic", .time = 1000000000 };
	const struct crash_limits limits = { .throttle = { 2, 3600 } };
	struct crash_store *s;
	struct crash *c, *d;
	struct crash_list list = { 0 };
	struct crash_room room;
	struct failure why;
	char template[200], *path;

	snprintf(template, sizeof(template), "%s/store/%%n/%%s", dir);
	if (!CHECK(good(crash_store_open(template, &why, &s), &why)))
		return;
	if (!CHECK(good(crash_begin(s, &facts, &limits, &why, &c), &why)))
		return;
	CHECK(crash_is_first(c));
	CHECK(strstr(crash_path(c), "/store/web_1/1000000000.incomplete"));
	CHECK(good(crash_write_file(c, "report.txt", "report\n", 7, &why), &why));
	CHECK(good(crash_make_room(c, &limits, 4096, facts.time, NULL, NULL, &why, &room), &why) && room.fits);
	CHECK(good(crash_write_file(c, "vmcore", "core", 4, &why), &why));
	CHECK(good(crash_begin(s, &facts, &limits, &why, &d), &why));
	CHECK(!crash_is_first(d));
	CHECK(good(crash_finish(c, &facts, &why, &path), &why));
	CHECK(!access(path, F_OK));
	free(path);
	crash_abandon(d);
	CHECK(good(crash_list_add(&list, s, &why), &why));
	if (CHECK_INT(list.num, 1)) {
		CHECK_INT(list.entries[0].state, CRASH_WHOLE);
		CHECK_STR(list.entries[0].guest, "web/1");
		CHECK(list.entries[0].has_dump);
		CHECK(!crash_is_throttled(s, "web/1", &limits, facts.time + 1));
		CHECK(good(crash_remove(&list.entries[0], &why), &why));
	}
	crash_list_deinit(&list);
	crash_store_close(s);
}

int main(void)
{
	char command[100];

	if (!mkdtemp(dir))
		return 1;
	test_a_crash();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) || check_done();
}

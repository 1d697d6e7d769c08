/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crash_writer TEMPLATE GUEST REASON TIME [FILE...] - store a crash with these files, for tests
 *
 * A FILE is "NAME" or "NAME=TEXT". With "--wait" in front, it waits for the end of its standard input before it
 * finishes; with "--recover" and only TEMPLATE, it brings in order what killed processes left.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crash_store.h"
#include "no_commands.h"

static void recovered(void *arg, const struct crash_recovered *r)
{
	(void)arg;
	printf("%s %s %s\n", r->path, r->kept ? r->kept : "-", r->problem ? r->problem : "-");
}

static int check(bool good, struct failure *why)
{
	return good ? 0 : failure_report(why);
}

static void write_files(struct crash *c, char **files)
{
	struct failure why;

	for (; *files; files++) {
		char *equals = strchr(*files, '=');

		if (equals)
			*equals = '\0';
		if (!crash_write_file(c, *files, equals ? equals + 1 : "", equals ? strlen(equals + 1) : 0, &why))
			exit(failure_report(&why));
	}
}

int main(int argc, char **argv)
{
	const bool wait = argc > 1 && !strcmp(argv[1], "--wait");
	const char *notes[] = { "a note", NULL };
	const struct crash_limits limits = { .throttle = { 2, 3600 } };
	struct crash_facts facts = { .notes = notes, .detail = "Kernel panic", .hypervisor = "QEMU 7.2.0", .pid = 1234 };
	struct crash_store *s;
	struct crash *c;
	struct failure why;
	char *path, byte;

	messages_init();
	argv += wait;
	argc -= wait;
	if (argc < 3 || check(crash_store_open(argv[argc < 5 ? 2 : 1], &why, &s), &why))
		return 1;
	if (argc < 5)
		return check(crash_recover(s, recovered, NULL, &why), &why);
	facts.guest = argv[2];
	facts.reason = argv[3];
	facts.time = atoll(argv[4]);
	if (check(crash_begin(s, &facts, &limits, &why, &c), &why))
		return 1;
	write_files(c, argv + 5);
	if (wait) {
		puts(crash_path(c));
		fflush(stdout);
		while (read(0, &byte, 1) > 0)
			;
	}
	facts.action = "leave";
	if (check(crash_finish(c, &facts, &why, &path), &why))
		return 1;
	puts(path);
	free(path);
	crash_store_close(s);
	return 0;
}

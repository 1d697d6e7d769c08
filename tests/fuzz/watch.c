/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch.c - what guestdump watch reads: its configuration, names of guests, and the meta.json of crashes
 *
 * The input is each of these.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit/no_commands.h"
#include "crash_dir.h"
#include "fuzz.h"
#include "watch_conf.h"

static void look_at_text(void *arg, bool is_error, const char *text)
{
	(void)arg, (void)is_error;
	fuzz_look(text, strlen(text));
}

static void look_at_policy(const struct watch_conf *conf, const char *guest)
{
	const struct watch_policy p = watch_policy_of(conf, guest);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	watch_policy_print(&p, out);
	fclose(out);
	fuzz_look(text, size);
	free(text);
}

static void fuzz_conf(const uint8_t *data, size_t size)
{
	struct watch_conf *conf;
	char path[40];
	const int fd = memfd_create("watch.conf", 0);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, data, size) != (ssize_t)size)
		fuzz_die("cannot write to a memfd");
	if (watch_conf_read(path, look_at_text, NULL, &conf)) {
		look_at_policy(conf, NULL);
		for (size_t i = 0; watch_conf_pattern(conf, i) && i < 10; i++)
			look_at_policy(conf, watch_conf_pattern(conf, i));
		watch_conf_destroy(conf);
	}
	close(fd);
}

/* Whatever a guest is called, the path of its crash is below the root. */
static void fuzz_name(const char *name)
{
	static const char *const templates[] = { CRASH_TEMPLATE, "/a/%n", "/a/%n%n/%s-%n", "/a/x%n.%n" };

	for (size_t i = 0; i < sizeof(templates) / sizeof(*templates); i++) {
		char *root = crash_template_root(templates[i]);
		char *path = crash_template_expand(templates[i], name, 1000000000);
		size_t slashes = 0;

		for (const char *p = path; *p; p++)
			slashes += *p == '/';
		for (const char *p = templates[i] + strlen(root) + 1; *p; p++)
			slashes -= *p == '/';
		if (slashes || *path == '.' || strstr(path, "/.") || strpbrk(path, "\n\x7f"))
			fuzz_die("'%s' becomes '%s'", name, path);
		free(root);
		free(path);
	}
}

static void put_meta(const char *dir, const uint8_t *data, size_t size)
{
	char path[100];
	FILE *out;

	snprintf(path, sizeof(path), "%s/crash/" CRASH_META, dir);
	out = fopen(path, "w");
	if (!out || fwrite(data, 1, size, out) != size || fclose(out))
		fuzz_die("cannot write %s", path);
}

static void fuzz_meta(const uint8_t *data, size_t size)
{
	static char dir[] = "/tmp/fuzz_watch.XXXXXX";
	const struct crash_limits limits = { .throttle = { 1, 3600 }, .max_age_s = 1, .max_per_guest = 1 };
	struct crash_list list = { 0 };
	struct crash_store *s = NULL;
	struct crash_room room;
	struct failure why;
	char text[100];

	strcpy(dir + strlen(dir) - 6, "XXXXXX");
	if (!mkdtemp(dir))
		fuzz_die("cannot create a directory");
	snprintf(text, sizeof(text), "%s/crash", dir);
	mkdir(text, 0700);
	put_meta(dir, data, size);
	snprintf(text, sizeof(text), "%s/%%n", dir);
	if (!crash_store_open(text, &why, &s) || !crash_list_add(&list, s, &why))
		fuzz_die("%s", why.message);
	for (size_t i = 0; i < list.num; i++)
		json_decref(crash_dumps_of(&list, list.entries[i].guest, 0));
	crash_room_plan(&list, &limits, &(struct crash_disk){ .total = 1 << 20 }, "vm", 1 << 30, 1000000000, &room);
	crash_list_deinit(&list);
	snprintf(text, sizeof(text), "%s/crash/" CRASH_META, dir);
	unlink(text);
	*strrchr(text, '/') = '\0';
	rmdir(text);
	rmdir(dir);
	crash_store_close(s);
}

void fuzz_watch(const uint8_t *data, size_t size)
{
	char *text = calloc(1, size + 1);

	memcpy(text, data, size);
	if (size && *data == '{')
		fuzz_meta(data, size);
	else
		fuzz_conf(data, size);
	fuzz_name(text);
	free(text);
}

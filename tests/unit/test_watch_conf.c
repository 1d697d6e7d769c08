/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "no_commands.h"
#include "watch_conf.h"

static char dir[] = "/tmp/test_watch_conf.XXXXXX";

/* The messages of the last watch_conf_read(), without the directory, each with a newline */
static char messages[4096];
static unsigned int num_errors;

static void collect(void *arg, bool is_error, const char *text)
{
	const size_t len = strlen(messages);

	(void)arg;
	num_errors += is_error;
	if (!strncmp(text, dir, strlen(dir)))
		text += strlen(dir) + 1;
	snprintf(messages + len, sizeof(messages) - len, "%s%s\n", is_error ? "" : "warning: ", text);
}

static const char *path_of(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *out = fopen(path_of(name), "w");

	if (!CHECK(out))
		exit(1);
	fputs(text, out);
	fclose(out);
}

static struct watch_conf *conf_of(const char *text)
{
	struct watch_conf *conf = NULL;

	put("watch.conf", text);
	*messages = '\0';
	num_errors = 0;
	if (!watch_conf_read(path_of("watch.conf"), collect, NULL, &conf))
		CHECK(!conf && num_errors);
	return conf;
}

static void test_values(void)
{
	struct watch_conf *conf = conf_of(
		"# a comment\n; another\n"
		"[Watch]\n"
		"Store = /data/%n/%s\n"
		"On=panic, watchdog\r\n"
		"WhenLog=soft lockup\nWhenLog=^BUG: \n"
		"MaxUse=20G\nKeepFree=5%\nMaxAge=30d\nMaxPauze=1\nX-Mine=1\n"
		"Level=11,\\\n# between\n31\n"
		"Throttle=2 in 1h 30min\n"
		"Compress=zstd:3\nLive=try\nDump=off\n"
		"[Guest web-*]\n"
		"MaxUse=\nOn=all\nAfter=reset\n"
		"[Guest web-1]\nWhenLog=\nWhenLog=Oops\nStore=/web/%n\n");
	struct watch_policy p;

	if (!CHECK(conf)) {
		fputs(messages, stderr);
		return;
	}
	CHECK_STR(messages, "warning: watch.conf:11: unknown key 'MaxPauze' is ignored; did you mean 'MaxPause'?\n");
	p = watch_policy_of(conf, "db");
	CHECK_STR(p.store, "/data/%n/%s");
	CHECK_INT(p.on, WATCH_PANIC | WATCH_WATCHDOG);
	CHECK_INT(p.when_log.num, 2);
	CHECK_STR(p.when_log.text[1], "^BUG:");
	CHECK_INT(p.max_use.bytes, 20ll << 30);
	CHECK_INT(p.keep_free.percent, 5);
	CHECK_INT(p.max_age_ms, 30ll * 86400000);
	CHECK_INT(p.throttle.num, 2);
	CHECK_INT(p.throttle.seconds, 5400);
	CHECK_STR(p.codec.name, "zstd");
	CHECK_INT(p.live, GDUMP_LIVE_TRY);
	CHECK(!p.dump && p.report);
	p = watch_policy_of(conf, "web-1");
	CHECK_INT(p.max_use.percent, 50);
	CHECK_INT(p.after, WATCH_RESET_GUEST);
	CHECK_INT(p.when_log.num, 1);
	CHECK_STR(p.when_log.text[0], "Oops");
	CHECK_STR(watch_conf_store(conf, 0), "/data/%n/%s");
	CHECK_STR(watch_conf_store(conf, 1), "/web/%n");
	CHECK(!watch_conf_store(conf, 2));
	watch_conf_destroy(conf);
}

/* What is printed is read as the same. */
static void test_printed(void)
{
	struct watch_conf *conf = conf_of("[Watch]\nWhenLog=BUG\nMaxPause=1500ms\nMaxUse=20M\nCompress=zstd:-5\nLive=yes\n"
					  "On=none\nThrottle=no\nKeepFree=0\nPost=/bin/true\n"), *again;
	char *text = NULL, *second = NULL, *whole = NULL;
	struct watch_policy p;
	size_t size;
	FILE *out;

	if (!CHECK(conf))
		return;
	p = watch_policy_of(conf, NULL);
	out = open_memstream(&text, &size);
	watch_policy_print(&p, out);
	fclose(out);
	CHECK(strstr(text, "MaxPause=1s 500ms\n") && strstr(text, "\nOn=none\n") && strstr(text, "\nLevel=1,17,31\n"));
	CHECK(asprintf(&whole, "[Watch]\n%s", text) > 0);
	again = conf_of(whole);
	if (CHECK(again)) {
		p = watch_policy_of(again, NULL);
		out = open_memstream(&second, &size);
		watch_policy_print(&p, out);
		fclose(out);
		CHECK_STR(second, text);
		watch_conf_destroy(again);
	}
	free(whole);
	free(text);
	free(second);
	watch_conf_destroy(conf);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	test_values();
	test_printed();
	unlink(path_of("watch.conf"));
	rmdir(dir);
	return check_done();
}

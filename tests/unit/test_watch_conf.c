/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <ftw.h>
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

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
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

static void test_mistakes(void)
{
	static const struct {
		const char *text, *message;
		bool is_warning;
	} cases[] = {
		{ "[Watch]\n\nMaxUse=10Q\n", "watch.conf:3: MaxUse=10Q: '10Q' is not a number of bytes such as 64K or 2G, or a part of the disk such as 10%\n" },
		{ "[Watch]\nMaxUse=101%\n", "watch.conf:2: MaxUse=101%: '101%' is not a percentage from 0% to 100%\n" },
		{ "[Watch]\nStore=/var/crash/%n/%Q\n", "watch.conf:2: Store=/var/crash/%n/%Q: '%Q' is not %n, the guest, or one of date's words" },
		{ "[Watch]\nStore=crash\n", "watch.conf:2: Store=crash: 'crash' is not an absolute path" },
		{ "[Watch]\nOn=panic,reboot\n", "watch.conf:2: On=panic,reboot: 'reboot' is not panic, watchdog, internal-error," },
		{ "[Watch]\nOn=,\n", "watch.conf:2: On=,: ',' is not a list" },
		{ "[Watch]\nWhenLog=(lockup\n", "watch.conf:2: WhenLog=(lockup: '(lockup' is not an extended regular expression: " },
		{ "[Watch]\nLogInterval=5 parsecs\n", "watch.conf:2: LogInterval=5 parsecs: '5 parsecs' is not a time such as" },
		{ "[Watch]\nLogInterval=-1\n", "watch.conf:2: LogInterval=-1: '-1' is not a time" },
		{ "[Watch]\nMaxAge=99999999999999999999\n", "watch.conf:2: MaxAge=99999999999999999999: '99999999999999999999' is not a time" },
		{ "[Watch]\nDump=maybe\n", "watch.conf:2: Dump=maybe: 'maybe' is not yes or no\n" },
		{ "[Watch]\nLevel=11,32\n", "watch.conf:2: Level=11,32: '32' is not a dump level from 0 to 31\n" },
		{ "[Watch]\nCompress=zstd:high\n", "watch.conf:2: Compress=zstd:high: 'high' is not a compression level\n" },
		{ "[Watch]\nLive=perhaps\n", "watch.conf:2: Live=perhaps: 'perhaps' is not yes, no or try\n" },
		{ "[Watch]\nAfter=reboot\n", "watch.conf:2: After=reboot: 'reboot' is not leave, resume or reset\n" },
		{ "[Watch]\nMaxParallel=0\n", "watch.conf:2: MaxParallel=0: '0' is not a number, from 1 on\n" },
		{ "[Watch]\nMaxPerGuest=-1\n", "watch.conf:2: MaxPerGuest=-1: '-1' is not a number, from 0 on\n" },
		{ "[Watch]\nThrottle=3 per 1h\n", "watch.conf:2: Throttle=3 per 1h: '3 per 1h' is not a number and a time such as \"3 in 1h\", or no\n" },
		{ "[Watch]\nThrottle=yes\n", "watch.conf:2: Throttle=yes: 'yes' is not a number and a time" },
		{ "[Watch]\nPost=notify\n", "watch.conf:2: Post=notify: 'notify' is not the path of a program from / on\n" },
		{ "MaxUse=1G\n", "watch.conf:1: MaxUse= is in no section: put [Watch] above it\n" },
		{ "[Watch\n", "watch.conf:1: '[Watch' is not a section: the ] at the end is missing\n" },
		{ "[\n", "watch.conf:1: '[' is not a section" },
		{ "[Guest]\nDump=no\n", "watch.conf:1: [Guest] needs the name of a guest or a pattern, such as [Guest web-*]\n" },
		{ "[Guest x]\nMaxParallel=2\n", "watch.conf:2: MaxParallel= is about all guests: put it into [Watch]\n" },
		{ "[Watch]\nDump\n", "watch.conf:2: 'Dump' is neither a section nor KEY=VALUE\n" },
		{ "[Watch]\n\n# a\nLevel=1,\\\n# b\n40\n", "watch.conf:4: Level=1, 40: ' 40' is not a dump level from 0 to 31\n" },
		{ "[Watch]\nDump=no \\", "", true },
		{ "[Watch]\nMaxUsed=1G\n", "watch.conf:2: unknown key 'MaxUsed' is ignored; did you mean 'MaxUse'?\n", true },
		{ "[Watch]\nmaxuse=1G\n", "watch.conf:2: unknown key 'maxuse' is ignored; did you mean 'MaxUse'?\n", true },
		{ "[Watch]\nQuux=1\n", "watch.conf:2: unknown key 'Quux' is ignored; guestdump-watch.conf(5) lists them\n", true },
		{ "[Wacth]\nQuux=1\n", "watch.conf:1: unknown section 'Wacth' is ignored; did you mean 'Watch'?\n", true },
		{ "[Guets web-*]\nDump=no\n", "watch.conf:1: unknown section 'Guets web-*' is ignored; did you mean 'Guest'?\n", true },
		{ "[Service]\nDump=no\n", "watch.conf:1: unknown section 'Service' is ignored; guestdump-watch.conf(5) lists them\n", true },
		{ "[X-Mine]\nDump=no\n[Watch]\nX-Other=1\n=\n", "watch.conf:5: unknown key '' is ignored", true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct watch_conf *conf = conf_of(cases[i].text);
		const char *got = messages + (cases[i].is_warning && *messages ? strlen("warning: ") : 0);

		if (!CHECK_INT(!conf, !cases[i].is_warning) ||
		    !CHECK(!strncmp(got, cases[i].message, strlen(cases[i].message)) && !*got == !*cases[i].message))
			fprintf(stderr, "  with '%s': %s", cases[i].text, messages);
		watch_conf_destroy(conf);
	}
	/* all of them are reported */
	CHECK(!conf_of("[Watch]\nDump=x\nLive=y\n[Guest z]\nDump=z\n"));
	CHECK_INT(num_errors, 3);
}

static void test_files(void)
{
	struct watch_conf *conf = NULL;
	FILE *out;

	*messages = '\0';
	CHECK(!watch_conf_read(path_of("missing"), collect, NULL, &conf));
	CHECK_STR(messages, "missing: cannot read this configuration: No such file or directory\n");
	*messages = '\0';
	CHECK(!watch_conf_read(dir, collect, NULL, &conf));
	CHECK(strstr(messages, "cannot read this configuration: Is a directory"));
	out = fopen(path_of("watch.conf"), "w");
	fwrite("[Watch]\n\0Dump=no\n", 1, 18, out);
	fclose(out);
	*messages = '\0';
	CHECK(!watch_conf_read(path_of("watch.conf"), collect, NULL, &conf));
	CHECK_STR(messages, "watch.conf: there is a zero byte in it: this is not a text\n");
	out = fopen(path_of("watch.conf"), "w");
	for (int i = 0; i < 300000; i++)
		fputs("# a\n", out);
	fclose(out);
	*messages = '\0';
	CHECK(!watch_conf_read(path_of("watch.conf"), collect, NULL, &conf));
	CHECK_STR(messages, "watch.conf: cannot read this configuration: File too large\n");
	unlink(path_of("watch.conf"));
}

/* The three directories of the system, and the order of drop-ins */
static void test_drop_ins(void)
{
	char etc[100], run[100], lib[100];
	const char *const dirs[] = { etc, run, lib, NULL };
	struct watch_conf *conf = NULL;
	struct watch_policy p;

	snprintf(etc, sizeof(etc), "%s/etc", dir);
	snprintf(run, sizeof(run), "%s/run", dir);
	snprintf(lib, sizeof(lib), "%s/lib", dir);
	CHECK(watch_conf_read_dirs(dirs, NULL, collect, NULL, &conf) && !watch_conf_file(conf, 0));
	watch_conf_destroy(conf);
	for (size_t i = 0; dirs[i]; i++) {
		char drop_ins[120];

		snprintf(drop_ins, sizeof(drop_ins), "%s/watch.conf.d", dirs[i]);
		mkdir(dirs[i], 0700);
		mkdir(drop_ins, 0700);
	}
	put("run/watch.conf", "[Watch]\nMaxPerGuest=1\nPost=/run\nFormat=run\nOn=none\n");
	put("lib/watch.conf", "[Watch]\nMaxPerGuest=2\nLevel=2\n");
	put("etc/watch.conf.d/20-b.conf", "[Watch]\nPost=/etc/20\n");
	put("lib/watch.conf.d/30-c.conf", "[Watch]\nPost=/lib/30\nMaxPerGuest=3\n");
	put("run/watch.conf.d/10-a.conf", "[Watch]\nPost=/run/10\nOn=all\n");
	put("lib/watch.conf.d/20-b.conf", "[Watch]\nFormat=lib20\n");
	put("lib/watch.conf.d/25.conf", "[Watch]\nFormat=lib25\n");
	put("etc/watch.conf.d/90.conf~", "[Watch]\nFormat=other\n");
	put("etc/watch.conf.d/.90.conf", "[Watch]\nFormat=other\n");
	CHECK(!symlink("/dev/null", path_of("etc/watch.conf.d/25.conf")));
	CHECK(watch_conf_read_dirs(dirs, NULL, collect, NULL, &conf));
	p = watch_policy_of(conf, "vm");
	CHECK_STR(p.post, "/lib/30");
	CHECK_STR(p.format, "run");
	CHECK_INT(p.max_per_guest, 3);
	CHECK_INT(p.levels.num, 3);
	CHECK(p.on & WATCH_IO_ERROR);
	CHECK_STR(watch_conf_file(conf, 0) + strlen(dir), "/run/watch.conf");
	CHECK_STR(watch_conf_file(conf, 1) + strlen(dir), "/run/watch.conf.d/10-a.conf");
	CHECK_STR(watch_conf_file(conf, 3) + strlen(dir), "/lib/watch.conf.d/30-c.conf");
	CHECK(!watch_conf_file(conf, 4));
	watch_conf_destroy(conf);
}

static void test_options(void)
{
	struct watch_conf *conf = conf_of("[Watch]\nWhenLog=a\nDump=no\n[Guest x]\nMaxUse=1K\nStore=/x/%n\n");
	struct watch_policy options = { .max_use.bytes = 7, .store = "/y/%n" }, p;
	struct bad_value bad;

	CHECK(parse_regex("b", &options.when_log, &bad));
	CHECK_STR(watch_conf_store(conf, 1), "/x/%n");
	watch_conf_set_options(conf, &options, watch_key_bit(offsetof(struct watch_policy, max_use)) |
			       watch_key_bit(offsetof(struct watch_policy, store)) |
			       watch_key_bit(offsetof(struct watch_policy, when_log)));
	p = watch_policy_of(conf, "x");
	CHECK_INT(p.max_use.bytes, 7);
	CHECK_INT(p.when_log.num, 1);
	CHECK_STR(p.when_log.text[0], "b");
	CHECK(!p.dump);
	CHECK_STR(watch_conf_store(conf, 0), "/y/%n");
	CHECK(!watch_conf_store(conf, 1));
	CHECK_STR(watch_conf_pattern(conf, 0), "x");
	watch_conf_destroy(conf);
}

static void test_times(void)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} cases[] = {
		{ "0", 0 }, { "5", 5000 }, { "5s", 5000 }, { "5 sec", 5000 }, { "250ms", 250 }, { "2min", 120000 },
		{ "2m", 120000 }, { "1h 30min", 5400000 }, { "1h30min", 5400000 }, { "2d", 172800000 }, { "1w", 604800000 },
		{ "", UINT64_MAX }, { "s", UINT64_MAX }, { "5x", UINT64_MAX }, { " 5", UINT64_MAX }, { "5.5s", UINT64_MAX },
		{ "1h -5s", UINT64_MAX }, { "9999999999999", UINT64_MAX }, { "999999999999w", UINT64_MAX },
	};
	struct bad_value bad;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t ms = UINT64_MAX;

		if (!CHECK_INT(parse_duration(cases[i].text, &ms, &bad), cases[i].ms != UINT64_MAX) ||
		    !CHECK_INT(ms, cases[i].ms))
			fprintf(stderr, "  with '%s'\n", cases[i].text);
	}
}

int main(void)
{
	if (!mkdtemp(dir))
		return 1;
	test_values();
	test_printed();
	test_mistakes();
	test_files();
	test_drop_ins();
	test_options();
	test_times();
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return check_done();
}

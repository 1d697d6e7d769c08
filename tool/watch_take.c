/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_take.c - what guestdump watch keeps of a crash
 *
 * Each file is written by a guestdump of its own: what a broken guest may do to one of them does not
 * reach the others. The reports come first, as they take a second.
 */
#include "watch_take.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "tool.h"
#include "watch_journal.h"

enum {
	REPORT_MS = 60000,
	ESTIMATE_MS = 300000,
	OUTPUT_MAX = 1 << 20,
	MAX_NOTES = 8,
};

struct taking {
	const struct take *take;
	struct crash_store *store;
	struct crash *crash;
	struct crash_limits limits;
	char *notes[MAX_NOTES + 1];     /* what is missing, and why             */
	size_t num_notes;
	bool has_dump;
};

/* Report what is missing, and keep it for meta.json. */
static void taking_note(struct taking *t, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
static void taking_note(struct taking *t, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	warn("%s: %s", t->take->facts.guest, text);
	if (t->num_notes < MAX_NOTES)
		t->notes[t->num_notes++] = text;
	else
		free(text);
}

struct temp_name { char text[64]; };

static struct temp_name temp_name(const char *name)
{
	struct temp_name ret;

	snprintf(ret.text, sizeof(ret.text), "%s" CRASH_INCOMPLETE, name);
	return ret;
}

/* The file @name of the crash, to be written, which has another name until then; -1: it cannot be */
static int taking_create(struct taking *t, const char *name)
{
	const int fd = openat(crash_fd(t->crash), temp_name(name).text,
			      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		taking_note(t, "cannot create %s: %s", name, strerror(errno));
	return fd;
}

/* @fd is written: give it its name, or remove it if it is not wanted or empty. */
static void taking_keep(const struct taking *t, int fd, const char *name, bool wanted)
{
	const int dir = crash_fd(t->crash);
	const struct temp_name temp = temp_name(name);

	if (!wanted || !lseek(fd, 0, SEEK_END) || renameat(dir, temp.text, dir, name))
		unlinkat(dir, temp.text, 0);
	close(fd);
}

/* The last message in a file of messages */
struct last_line { char text[300]; };

static struct last_line taking_last_line(const struct taking *t, const char *name)
{
	static const char prefix[] = "guestdump: ";
	const int fd = openat(crash_fd(t->crash), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");
	struct last_line ret = { "" };
	char line[sizeof(ret.text)];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		strcpy(ret.text, line + (strncmp(line, prefix, strlen(prefix)) ? 0 : strlen(prefix)));
	}
	if (f)
		fclose(f);
	return ret;
}

/* --- reports --- */

/* Files that a command of guestdump prints */
static const struct report {
	const char *name, *words[4];
} reports[] = {
	{ "dmesg.txt",   { "dmesg" } },
	{ "report.txt",  { "report" } },
	{ "report.json", { "report", "--json" } },
};

static void taking_report(struct taking *t, const struct report *r)
{
	const char *argv[8] = { "guestdump" };
	size_t num = 1;
	char log[40];
	int out, err, status;

	for (size_t i = 0; r->words[i]; i++)
		argv[num++] = r->words[i];
	argv[num++] = t->take->facts.source;
	snprintf(log, sizeof(log), "%s.log", r->name);
	out = taking_create(t, r->name);
	err = out < 0 ? -1 : taking_create(t, log);
	if (err < 0) {
		if (out >= 0)
			taking_keep(t, out, r->name, false);
		return;
	}
	status = child_run(NULL, (char *const *)(uintptr_t)argv,
			   &(struct child_options){ .out = out, .err = err, .timeout_ms = REPORT_MS });
	taking_keep(t, out, r->name, true);
	taking_keep(t, err, log, status);
	if (status)
		taking_note(t, "%s: %s", r->name, taking_last_line(t, log).text);
}

static void taking_reports(struct taking *t)
{
	for (size_t i = 0; i < sizeof(reports) / sizeof(*reports); i++)
		taking_report(t, &reports[i]);
}

/* --- the dump --- */

/* A command line that grows */
struct words {
	const char *word[20];
	size_t num;
	char text[300];                 /* of words that were made              */
	size_t used;
};

static void words_add(struct words *w, const char *word)
{
	if (w->num + 1 < sizeof(w->word) / sizeof(*w->word))
		w->word[w->num++] = word;
}

static void words_printf(struct words *w, const char *fmt, ...)
	__attribute__((__format__(__printf__, 2, 3)));
static void words_printf(struct words *w, const char *fmt, ...)
{
	const size_t room = sizeof(w->text) - w->used;
	char *to = w->text + w->used;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(to, room, fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= room)
		return;
	w->used += (size_t)len + 1;
	words_add(w, to);
}

/* "guestdump dump" and what a policy asks for */
static void taking_words(const struct taking *t, unsigned int level, struct words *w)
{
	const struct watch_policy *p = t->take->policy;

	*w = (struct words){ .word = { "guestdump", "dump" }, .num = 2 };
	if (p->format)
		words_printf(w, "--format=%s", p->format);
	if (p->codec.name[0] && p->codec.has_level)
		words_printf(w, "--compress=%s:%d", p->codec.name, p->codec.level);
	else if (p->codec.name[0])
		words_printf(w, "--compress=%s", p->codec.name);
	if (level)
		words_printf(w, "--dump-level=%u", level);
}

/* What a command prints as JSON; NULL: nothing */
static json_t *taking_ask(const struct words *w)
{
	const int fd = memfd_create("guestdump", MFD_CLOEXEC);
	const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const struct child_options opt = { .out = fd, .err = null, .timeout_ms = ESTIMATE_MS };
	json_t *ret = NULL;

	if (fd >= 0 && null >= 0 && !child_run(NULL, (char *const *)(uintptr_t)w->word, &opt) &&
	    lseek(fd, 0, SEEK_END) <= OUTPUT_MAX && !lseek(fd, 0, SEEK_SET))
		ret = json_loadfd(fd, JSON_DISABLE_EOF_CHECK, NULL);
	if (fd >= 0)
		close(fd);
	if (null >= 0)
		close(null);
	return ret;
}

/* How many bytes the dump will have; 0: unknown */
static uint64_t taking_estimate(const struct taking *t, unsigned int level)
{
	json_t *answer, *bytes;
	uint64_t ret = 0;
	struct words w;

	taking_words(t, level, &w);
	words_add(&w, "--dry-run");
	words_add(&w, "--json");
	words_add(&w, t->take->facts.source);
	answer = taking_ask(&w);
	bytes = json_object_get(answer, "bytes");
	if (json_is_integer(bytes) && json_integer_value(bytes) > 0)
		ret = (uint64_t)json_integer_value(bytes);
	json_decref(answer);
	return ret;
}

static void say_removed(void *arg, const struct crash_entry *e)
{
	(void)arg;
	say("removed %s to make room", e->path);
}

/* The first level of the policy at which the dump fits; false: none does, which is noted. */
static bool taking_choose_level(struct taking *t, unsigned int *level)
{
	static const struct level_list all = { .num = 1 };
	const struct level_list *list = t->take->policy->levels.num ? &t->take->policy->levels : &all;
	struct crash_room room = { .fits = false };
	struct failure why = { 0 };
	uint64_t need = 0;

	for (size_t i = 0; i < list->num; i++) {
		*level = list->levels[i];
		need = taking_estimate(t, *level);
		if (!crash_make_room(t->crash, &t->limits, need, t->take->facts.time, say_removed, NULL,
				     &why, &room)) {
			taking_note(t, "no dump: %s", why.message);
			failure_deinit(&why);
			return false;
		}
		if (room.fits)
			return true;
	}
	taking_note(t, "no dump: it needs about %s, and %s allows %s", size_text(need).text, room.limit,
		    size_text(room.available).text);
	return false;
}

static void taking_write_dump(struct taking *t, unsigned int level)
{
	const struct watch_policy *p = t->take->policy;
	char path[4200];
	struct words w;
	int err, status;

	taking_words(t, level, &w);
	words_add(&w, "--quiet");
	if (p->live)
		words_add(&w, p->live == GDUMP_LIVE_TRY ? "--live=try" : "--live");
	if (p->max_pause_ms)
		words_printf(&w, "--max-pause=%llu", (unsigned long long)(p->max_pause_ms + 999) / 1000);
	snprintf(path, sizeof(path), "%s/" CRASH_DUMP, crash_path(t->crash));
	words_add(&w, t->take->facts.source);
	words_add(&w, path);
	err = taking_create(t, CRASH_DUMP ".log");
	if (err < 0)
		return;
	status = child_run(NULL, (char *const *)(uintptr_t)w.word,
			   &(struct child_options){ .out = err, .err = err });
	taking_keep(t, err, CRASH_DUMP ".log", true);
	t->has_dump = !status || status == EXIT_INCOMPLETE || status == EXIT_UNFILTERED;
	if (status)
		taking_note(t, "%s: %s", t->has_dump ? CRASH_DUMP : "no dump", status > 128 ?
			    strsignal(status - 128) : taking_last_line(t, CRASH_DUMP ".log").text);
}

static void taking_dump(struct taking *t)
{
	const struct take *take = t->take;
	unsigned int level = 0;

	if (take->report_only ||
	    crash_is_throttled(t->store, take->facts.guest, &t->limits, take->facts.time))
		taking_note(t, "no dump: this guest has had %u in %llu s", t->limits.throttle.num,
			    (unsigned long long)t->limits.throttle.seconds);
	else if (taking_choose_level(t, &level))
		taking_write_dump(t, level);
}

/* --- afterwards --- */

/* "GUESTDUMP_NAME=VALUE", to be freed */
static char *hook_variable(const char *name, const char *value)
{
	char *ret = NULL;

	return asprintf(&ret, "GUESTDUMP_%s=%s", name, value ? value : "") < 0 ? NULL : ret;
}

static void hook_report(const struct taking *t, int status)
{
	const char *guest = t->take->facts.guest, *post = t->take->policy->post;

	if (status < 0)
		warn("%s: cannot run %s: %s", guest, post, strerror(errno));
	else if (status > 128)
		warn("%s: %s was ended by a signal: %s", guest, post, strsignal(status - 128));
	else if (status)
		warn("%s: %s ended with status %d", guest, post, status);
}

/* Run the program that is to follow. */
static void hook_run(const struct taking *t, const char *dir, const char *id)
{
	const struct watch_policy *p = t->take->policy;
	const struct crash_facts *f = &t->take->facts;
	char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", dump[4200];
	const char *const values[][2] = {
		{ "DIRECTORY", dir }, { "ID", id }, { "GUEST", f->guest }, { "UUID", f->uuid },
		{ "REASON", f->reason }, { "DETAIL", f->detail }, { "DUMP", t->has_dump ? dump : "" },
	};
	enum { NUM = sizeof(values) / sizeof(*values) };
	const char *argv[] = { p->post, dir, NULL };
	char *env[NUM + 2] = { path };

	snprintf(dump, sizeof(dump), "%s/" CRASH_DUMP, dir);
	/* it has this name only if it is complete */
	if (access(dump, F_OK))
		snprintf(dump, sizeof(dump), "%s/" CRASH_DUMP CRASH_INCOMPLETE, dir);
	for (size_t i = 0; i < NUM; i++)
		env[i + 1] = hook_variable(values[i][0], values[i][1]);
	hook_report(t, child_run(p->post, (char *const *)(uintptr_t)argv,
				 &(struct child_options){ .out = STDERR_FILENO, .err = STDERR_FILENO, .env = env,
							  .timeout_ms = p->post_timeout_ms }));
	for (size_t i = 0; i < NUM; i++)
		free(env[i + 1]);
}

/* Give the directory its name, and let others know. */
static bool taking_finish(struct taking *t)
{
	struct crash_facts facts = t->take->facts;
	char *id = strdup(crash_id(t->crash)), *dir = NULL;
	struct failure why = { 0 };
	bool good;

	facts.notes = (const char *const *)t->notes;
	good = crash_finish(t->crash, &facts, &why, &dir);
	if (good) {
		journal_crash(&facts, dir, id ? id : "");
		if (t->take->policy->post && *t->take->policy->post)
			hook_run(t, dir, id ? id : "");
	} else {
		failure_report(&why);
	}
	free(dir);
	free(id);
	return good;
}

static bool taking_begin(struct taking *t)
{
	struct failure why = { 0 };

	t->limits = watch_policy_limits(t->take->policy);
	if (crash_store_open(t->take->policy->store, &why, &t->store) &&
	    crash_begin(t->store, &t->take->facts, &t->limits, &why, &t->crash) &&
	    crash_make_room_for_report(t->crash, &t->limits, t->take->facts.time, say_removed, NULL, &why))
		return true;
	if (t->crash)
		crash_abandon(t->crash);
	failure_report(&why);
	return false;
}

int take_crash(const struct take *t)
{
	struct taking taking = { .take = t };
	bool good = taking_begin(&taking);

	if (good && t->policy->report)
		taking_reports(&taking);
	if (good && t->policy->dump)
		taking_dump(&taking);
	if (write(t->released, "R", 1) != 1)
		say("the watcher has ended; %s is finished without it", t->facts.guest);
	good = good && taking_finish(&taking);
	for (size_t i = 0; i < taking.num_notes; i++)
		free(taking.notes[i]);
	crash_store_close(taking.store);
	return good ? EXIT_DONE : EXIT_FAILED;
}

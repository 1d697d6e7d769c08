/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "crash_dir.h"
#include "no_commands.h"
#include "random.h"

enum { HOUR = 3600, NOW = 100 * HOUR, MIB = 1 << 20, NUM_CRASHES = 50 };

static char dir[] = "/tmp/test_crash_store.XXXXXX";

/* Nothing fails here. */
static bool good(bool done, struct failure *why)
{
	if (!done) {
		fprintf(stderr, "%s\n", why->message);
		failure_deinit(why);
	}
	return CHECK(done);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void remove_all(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static struct crash_store *store_open(const char *words)
{
	struct crash_store *s = NULL;
	struct failure why;
	char template[300];

	snprintf(template, sizeof(template), "%s/%s", dir, words);
	if (!good(crash_store_open(template, &why, &s), &why))
		exit(1);
	return s;
}

/* --- templates --- */

static void test_templates(void)
{
	static const struct {
		const char *template, *piece, *root;    /* @piece NULL: it is good      */
	} cases[] = {
		{ CRASH_TEMPLATE, NULL, "/var/crash/guestdump" },
		{ "/a/%n/%F_%T/", NULL, "/a" }, { "/a/b/x%n", NULL, "/a/b" }, { "/a/100%%", NULL, "/a" },
		{ "/a/b/c", NULL, "/a/b" }, { "/a/b/c/", NULL, "/a/b" },
		{ "/a/%n/2/3/4/5/6/7/8", NULL, "/a" },
		{ "/a/%n/2/3/4/5/6/7/8/9", "/a/%n/2/3/4/5/6/7/8/9", NULL },
		{ "a/%n", "a/%n", NULL }, { "", "", NULL }, { "/", "/", NULL }, { "/%n", "/%n", NULL },
		{ "/a", "/a", NULL }, { "/a/%Q", "%Q", NULL }, { "/a/%n/%D", "%D", NULL }, { "/a/%c", "%c", NULL },
		{ "/a/%", "%", NULL }, { "/a//%n", "//", NULL }, { "/a/../%n", "..", NULL }, { "/a/%n/.", ".", NULL },
		{ "/a/%n.partial", "%n.partial", NULL }, { "/a/x.incomplete/%n", "x.incomplete", NULL },
		{ "/a/%n\n", "/a/%n\n", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct bad_value bad = { 0 };
		const char *to = NULL, *piece = cases[i].piece;
		const bool is_good = parse_crash_template(cases[i].template, &to, &bad);

		if (!CHECK_INT(is_good, !piece) ||
		    (piece && !CHECK(bad.len == (int)strlen(piece) && !strncmp(bad.piece, piece, strlen(piece)))))
			fprintf(stderr, "  with '%s': '%.*s'\n", cases[i].template, bad.len, bad.piece ? bad.piece : "");
		if (is_good) {
			char *root = crash_template_root(cases[i].template);

			CHECK_STR(root, cases[i].root);
			free(root);
		}
	}
}

static void test_expansion(void)
{
	static const struct {
		const char *template, *guest, *path;
	} cases[] = {
		{ "/a/%n/%Y-%m-%dT%H:%M:%S", "vm", "vm/2001-09-09T01:46:40" }, { "/a/b", "vm", "b" },
		{ "/a/%n/100%%", "vm", "vm/100%" }, { "/a/%n", "../../etc", "_._.._etc" }, { "/a/%n", ".", "_" },
		{ "/a/%n", "..", "_." }, { "/a/%n", "", "unnamed" }, { "/a/%n", NULL, "unnamed" },
		{ "/a/%n", "a\nb\x1b[1m\x7f", "a_b_[1m_" }, { "/a/%n", "\xc3\xa9", "\xc3\xa9" },
		{ "/a/%n", "\xff\xc3(\xc3", "__(_" }, { "/a/%n/x", "vm.incomplete", "vm.incomplet_/x" },
		{ "/a/%n", "vm.partial", "vm.partia_" }, { "/a/%nl", "vm.partia", "vm.partia_" },
		{ "/a/%n", "%n%s", "%n%s" }, { "/a/.%n", ".", "._" },
		{ "/a/%n", "0123456789012345678901234567890123456789012345678901234567890123456789",
		  "0123456789012345678901234567890123456789012345678901234567890123" },
		{ "/a/%n", "012345678901234567890123456789012345678901234567890123456789012\xc3\xa9",
		  "012345678901234567890123456789012345678901234567890123456789012" },
	};
	char *path;

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		path = crash_template_expand(cases[i].template, cases[i].guest, 1000000000);
		CHECK_STR(path, cases[i].path);
		free(path);
	}
	path = crash_template_expand("/a/%n%n%n%n%n%n", cases[16].guest, 0);
	CHECK(path && strlen(path) == 200);
	free(path);
}

/* --- one crash --- */

static void test_a_crash(void)
{
	const struct crash_facts facts = { .guest = "web/1", .reason = "panic", .time = 1000000000 };
	const struct crash_limits limits = { .throttle = { 1, 3600 } };
	struct crash_store *s = store_open("store/%n/%s");
	struct crash *c, *d;
	struct crash_list list = { 0 };
	struct crash_room room;
	struct failure why;
	char *path;

	if (!good(crash_begin(s, &facts, &limits, &why, &c), &why))
		return;
	CHECK(crash_is_first(c));
	CHECK(strstr(crash_path(c), "/store/web_1/1000000000.incomplete"));
	CHECK(!crash_is_throttled(s, "web/1", &limits, facts.time + 1));
	good(crash_write_file(c, "report.txt", "report\n", 7, &why), &why);
	good(crash_make_room(c, &limits, 4096, facts.time, NULL, NULL, &why, &room), &why);
	CHECK(room.fits && room.available > 4096);
	/* it will have a dump */
	CHECK(crash_is_throttled(s, "web/1", &limits, facts.time + 1));
	good(crash_write_file(c, "vmcore", "core", 4, &why), &why);
	good(crash_begin(s, &facts, &limits, &why, &d), &why);
	CHECK(!crash_is_first(d) && strstr(crash_path(d), "/1000000000-2.incomplete"));
	good(crash_finish(c, &facts, &why, &path), &why);
	CHECK(!access(path, F_OK));
	free(path);
	crash_abandon(d);
	good(crash_list_add(&list, s, &why), &why);
	if (CHECK_INT(list.num, 1)) {
		CHECK_INT(list.entries[0].state, CRASH_WHOLE);
		CHECK_STR(list.entries[0].guest, "web/1");
		CHECK(list.entries[0].has_dump);
		CHECK(crash_is_throttled(s, "web/1", &limits, facts.time + 3599));
		CHECK(!crash_is_throttled(s, "web/1", &limits, facts.time + 3600));
		CHECK(!crash_is_throttled(s, "web_1", &limits, facts.time));
		good(crash_remove(&list.entries[0], &why), &why);
		/* nothing of it remains, but the root does */
		CHECK(!rmdir(crash_store_root(s)));
	}
	crash_list_deinit(&list);
	crash_store_close(s);
}

/* Two processes do not promise the same space twice, and a dump that will be written counts. */
static void test_reservation(void)
{
	const struct crash_facts facts = { .guest = "vm", .reason = "panic", .time = NOW };
	const struct crash_limits limits = { .throttle = { 1, 60 }, .max_use.bytes = 100 * MIB };
	struct crash_store *s = store_open("reserve/%n/%s"), *t = store_open("reserve/%n/%s");
	struct crash_room room;
	struct failure why;
	struct crash *c, *d;
	char *path;

	good(crash_begin(s, &facts, &limits, &why, &c), &why);
	good(crash_begin(t, &facts, &limits, &why, &d), &why);
	CHECK(crash_is_first(c) && !crash_is_first(d));
	good(crash_make_room(c, &limits, 60 * MIB, NOW, NULL, NULL, &why, &room), &why);
	CHECK(room.fits);
	CHECK(crash_is_throttled(t, "vm", &limits, NOW));
	good(crash_make_room(d, &limits, 60 * MIB, NOW, NULL, NULL, &why, &room), &why);
	CHECK(!room.fits && room.available < 40 * MIB && !strcmp(room.limit, "MaxUse"));
	good(crash_make_room(d, &limits, 30 * MIB, NOW, NULL, NULL, &why, &room), &why);
	CHECK(room.fits);
	crash_abandon(d);
	good(crash_write_file(c, "vmcore", "small", 5, &why), &why);
	good(crash_finish(c, &facts, &why, &path), &why);
	free(path);
	/* what it did not need is free again */
	good(crash_begin(t, &facts, &limits, &why, &d), &why);
	good(crash_make_room(d, &limits, 90 * MIB, NOW, NULL, NULL, &why, &room), &why);
	CHECK(room.fits);
	crash_abandon(d);
	crash_store_close(s);
	crash_store_close(t);
}

/* A name of a guest that is no UTF-8 counts for limits, too. */
static void test_a_strange_name(void)
{
	const struct crash_facts facts = { .guest = "\xff\n\\", .time = 1000000000 };
	const struct crash_limits limits = { .throttle = { 1, 3600 } };
	struct crash_store *s = store_open("strange/%n/%s");
	struct failure why;
	struct crash *c;
	char *path;

	good(crash_begin(s, &facts, &limits, &why, &c), &why);
	good(crash_write_file(c, "vmcore", "core", 4, &why), &why);
	good(crash_finish(c, &facts, &why, &path), &why);
	free(path);
	CHECK(crash_is_throttled(s, facts.guest, &limits, facts.time));
	good(crash_begin(s, &facts, &limits, &why, &c), &why);
	CHECK(!crash_is_first(c));
	crash_abandon(c);
	crash_store_close(s);
}

/* What another user could have put in our way */
static void test_obstacles(void)
{
	const struct crash_facts facts = { .guest = "vm", .time = 1000000000 };
	struct crash_store *s = store_open("obstacles/%n/%s");
	char path[300], other[300];
	struct failure why;
	struct crash *c;

	snprintf(path, sizeof(path), "%s/obstacles", dir);
	snprintf(other, sizeof(other), "%s/elsewhere", dir);
	mkdir(path, 0700);
	mkdir(other, 0700);
	snprintf(path, sizeof(path), "%s/obstacles/vm", dir);
	CHECK(!symlink(other, path));
	if (CHECK(!crash_begin(s, &facts, NULL, &why, &c)))
		failure_deinit(&why);
	unlink(path);
	CHECK(!mkdir(path, 0700) && !chmod(path, 0777));
	if (CHECK(!crash_begin(s, &facts, NULL, &why, &c))) {
		CHECK(strstr(why.message, "others can write to it"));
		failure_deinit(&why);
	}
	CHECK(!rmdir(other));           /* nothing is in it */
	crash_store_close(s);
}

static void test_names_of_dumps(void)
{
	static const struct {
		const char *name;
		bool is_dump;
	} cases[] = {
		{ "vmcore", true }, { "vmcore.incomplete", true }, { "vmcore-1", true }, { "vmcore-12.incomplete", true },
		{ "vmcore.log", false }, { "vmcore-dmesg.txt", false }, { "vmcor", false }, { "report.txt", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct crash_file f = { .is_file = true };

		snprintf(f.name, sizeof(f.name), "%s", cases[i].name);
		CHECK_INT(crash_file_is_dump(&f), cases[i].is_dump);
	}
}

/* --- what has to go --- */

/* "GUEST TIME SIZE", with "1" behind it if it is the first of a series, "w" if it is being written */
static struct crash_list list_of(const char *const *rows)
{
	struct crash_list list = { .entries = calloc(20, sizeof(struct crash_entry)) };

	for (; *rows; rows++) {
		struct crash_entry *e = &list.entries[list.num++];
		char guest[20], flags[4] = "";
		long time, bytes;

		if (sscanf(*rows, "%19s %ld %ld %3s", guest, &time, &bytes, flags) < 3)
			exit(1);
		*e = (struct crash_entry){
			.path = strdup(*rows), .meta = json_string(guest), .time = time * HOUR,
			.bytes = (uint64_t)bytes, .first = strchr(flags, '1'),
			.state = strchr(flags, 'w') ? CRASH_WRITING : CRASH_WHOLE, .has_dump = true,
		};
		e->guest = json_string_value(e->meta);
	}
	return list;
}

/* Which rows go, by their numbers */
static bool goes(const char *const *rows, const struct crash_limits *limits, const struct crash_disk *disk,
		 uint64_t need, const char *want, struct crash_room *room)
{
	struct crash_list list = list_of(rows);
	char gone[20] = "";
	size_t len = 0;

	crash_room_plan(&list, limits, disk, "vm", need, NOW, room);
	for (size_t i = 0; i < list.num; i++) {
		if (list.entries[i].doomed)
			gone[len++] = (char)('0' + i);
	}
	crash_list_deinit(&list);
	return CHECK_STR(gone, want);
}

static void test_retention(void)
{
	/* a lone crash, an old series, a series that goes on, of which the last is being written */
	static const char *const rows[] = {
		"db 10 100 1", "vm 20 100 1", "vm 20 100", "vm 21 100", "db 99 100 1", "vm 98 100 1", "vm 99 100",
		"vm 100 10 w", NULL
	};
	const struct crash_disk disk = { .total = 10000, .free = 5000 };
	struct crash_limits limits = { .throttle = { 3, 2 * HOUR } };
	struct crash_room room;

	goes(rows, &limits, &disk, 5000, "", &room);
	CHECK(room.fits && room.available == 5000 && !room.limit);
	limits.keep_free.percent = 10;
	goes(rows, &limits, &disk, 4000, "", &room);
	goes(rows, &limits, &disk, 4001, "2", &room);
	goes(rows, &limits, &disk, 4101, "23", &room);
	goes(rows, &limits, &disk, 4300, "236", &room);
	goes(rows, &limits, &disk, 4301, "0236", &room);
	goes(rows, &limits, &disk, 4500, "01236", &room);
	CHECK(room.fits && room.available == 4500);
	/* if it does not fit anyway, nothing goes */
	goes(rows, &limits, &disk, 4501, "", &room);
	CHECK(!room.fits && room.available == 4500);
	CHECK_STR(room.limit, "KeepFree");
	limits.max_use.bytes = 810;
	goes(rows, &limits, &disk, 100, "", &room);
	goes(rows, &limits, &disk, 101, "2", &room);
	goes(rows, &limits, &disk, 700, "", &room);
	CHECK_STR(room.limit, "MaxUse");
	CHECK_INT(room.available, 600);
	/* what others have reserved */
	goes(rows, &limits, &(struct crash_disk){ .total = 10000, .free = 5000, .pending = 100 }, 1, "2", &room);
	limits.max_use.bytes = 0;
	goes(rows, &limits, &(struct crash_disk){ .total = 10000, .free = 5000, .pending = 3900 }, 101, "2", &room);
	goes(rows, &limits, &(struct crash_disk){ .total = 10000, .free = 5 }, 1, "", &room);
	CHECK(!room.fits && !room.available);
}

static void test_age_and_number(void)
{
	static const char *const rows[] = {
		"db 10 100 1", "vm 20 100 1", "vm 20 100", "vm 21 100", "db 99 100 1", "vm 98 100 1", "vm 99 100",
		"vm 100 10 w", NULL
	};
	static const char *const few[] = { "vm 99 100 1", "vm 100 10 w", NULL };
	static const char *const others[] = { "db 97 100 1", "db 98 100", "db 99 100", "vm 100 10 1w", NULL };
	const struct crash_disk disk = { .total = 10000, .free = 5000 };
	struct crash_limits limits = { .throttle = { 3, 2 * HOUR }, .max_age_s = 50 * HOUR };
	struct crash_room room;

	/* the age of another guest's crash is not for this one to judge */
	goes(rows, &limits, &disk, 1, "123", &room);
	limits.max_age_s = HOUR / 2;    /* the series goes on */
	goes(rows, &limits, &disk, 1, "1236", &room);
	limits.max_age_s = 0;
	limits.max_per_guest = 4;
	goes(rows, &limits, &disk, 1, "23", &room);
	limits.max_per_guest = 2;
	goes(rows, &limits, &disk, 1, "1236", &room);
	CHECK(room.fits);
	limits.max_per_guest = 1;
	goes(few, &limits, &disk, 1, "", &room);
	CHECK(!room.fits);
	CHECK_STR(room.limit, "MaxPerGuest");
	/* the first and the latest of another guest */
	limits.max_per_guest = 0;
	goes(others, &limits, &disk, 5100, "1", &room);
	goes(others, &limits, &disk, 5101, "", &room);
	CHECK(!room.fits);
	limits.max_per_guest = 1;
	/* without series, each is the first of one that has ended */
	limits.throttle.seconds = 0;
	goes(few, &limits, &disk, 1, "0", &room);
	CHECK(room.fits);
}

static struct crash_limits limits_of_test(const void *arg, const char *guest)
{
	(void)arg;
	return (struct crash_limits){ .throttle = { 3, 2 * HOUR },
				      .max_age_s = strcmp(guest, "db") ? 0 : 50 * HOUR };
}

/* MaxAge is that of each guest */
static void test_age_of_each(void)
{
	static const char *const rows[] = { "db 10 100 1", "vm 20 100 1", "vm 20 100", "db 60 100 1", NULL };
	struct crash_list list = list_of(rows);

	crash_doom_old(&list, limits_of_test, NULL, NOW);
	CHECK(list.entries[0].doomed && !list.entries[1].doomed && !list.entries[2].doomed &&
	      !list.entries[3].doomed);
	crash_list_deinit(&list);
}

/* --- a small disk --- */

static uint64_t free_bytes(void)
{
	struct statvfs st;

	return statvfs(dir, &st) ? 0 : (uint64_t)st.f_bavail * st.f_frsize;
}

/* One more crash: a report, and a dump if there may be one. Returns whether there is one. */
static bool crash_once(struct crash_store *s, const struct crash_limits *limits, int64_t now, const char *block)
{
	const struct crash_facts facts = { .guest = "vm", .reason = "panic", .time = now };
	const bool throttled = crash_is_throttled(s, "vm", limits, now);
	struct crash_room room = { 0 };
	struct failure why;
	struct crash *c;
	char *path;

	if (!good(crash_begin(s, &facts, limits, &why, &c), &why))
		return false;
	good(crash_make_room_for_report(c, limits, now, NULL, NULL, &why), &why);
	good(crash_write_file(c, "report.txt", block, 20000, &why), &why);
	if (!throttled && good(crash_make_room(c, limits, 7 * MIB, now, NULL, NULL, &why, &room), &why) && room.fits) {
		good(crash_write_file(c, "vmcore", block, 7 * MIB, &why), &why);
		CHECK(free_bytes() >= 6 * MIB);
	}
	good(crash_finish(c, &facts, &why, &path), &why);
	free(path);
	return room.fits;
}

static void check_all_whole(const struct crash_store *s, size_t *num, size_t *num_dumps)
{
	struct crash_list list = { 0 };
	struct failure why;

	*num = *num_dumps = 0;
	good(crash_list_add(&list, s, &why), &why);
	for (size_t i = 0; i < list.num; i++) {
		CHECK_INT(list.entries[i].state, CRASH_WHOLE);
		CHECK_INT(list.entries[i].first, i == 0);
		*num_dumps += list.entries[i].has_dump;
	}
	*num = list.num;
	crash_list_deinit(&list);
}

/* If only the first and the latest are there, a repetition does not even get a report. */
static void check_no_room(const struct crash_store *s, const struct crash_limits *limits, int64_t now)
{
	const struct crash_facts again = { .guest = "vm", .reason = "panic", .time = now };
	const struct crash_facts other = { .guest = "other", .reason = "panic", .time = now };
	struct crash_limits narrow = *limits;
	struct failure why;
	struct crash *c;

	narrow.max_use.bytes = MIB;
	good(crash_begin(s, &again, &narrow, &why, &c), &why);
	if (CHECK(!crash_make_room_for_report(c, &narrow, now, NULL, NULL, &why))) {
		CHECK_INT(why.kind, FAILURE_NO_SPACE);
		CHECK(strstr(why.message, "MaxUse is reached"));
		failure_deinit(&why);
	}
	crash_abandon(c);
	good(crash_begin(s, &other, &narrow, &why, &c), &why);
	good(crash_make_room_for_report(c, &narrow, now, NULL, NULL, &why), &why);
	crash_abandon(c);
}

static int on_a_small_disk(void)
{
	struct crash_limits limits = { .keep_free.percent = 10, .throttle = { 1000, HOUR } };
	struct crash_store *s = store_open("small/%n/%s");
	char *block = calloc(7, MIB);
	size_t num, num_dumps, taken = 0;

	/* as many dumps as crashes, the first of which stays */
	for (int i = 0; i < NUM_CRASHES; i++)
		taken += crash_once(s, &limits, NOW + i, block);
	check_all_whole(s, &num, &num_dumps);
	CHECK_INT(taken, NUM_CRASHES);
	CHECK(num_dumps >= 6 && num_dumps <= 9);
	/* from now on, only what Throttle= allows, though some of these dumps have been removed */
	limits.throttle.num = NUM_CRASHES + 3;
	limits.max_per_guest = 20;
	taken = 0;
	for (int i = 0; i < NUM_CRASHES; i++)
		taken += crash_once(s, &limits, NOW + NUM_CRASHES + i, block);
	CHECK_INT(taken, 3);
	check_all_whole(s, &num, &num_dumps);
	CHECK(num_dumps >= 1 && num <= 20);
	/* reports alone do not fill the disk either */
	limits.max_per_guest = 0;
	limits.max_use.bytes = 8 * MIB + MIB / 2;
	for (int i = 0; i < NUM_CRASHES; i++)
		CHECK(!crash_once(s, &limits, NOW + 2 * NUM_CRASHES + i, block));
	check_all_whole(s, &num, &num_dumps);
	CHECK(num_dumps == 1 && num > 10 && num < NUM_CRASHES);
	check_no_room(s, &limits, NOW + 3 * NUM_CRASHES);
	free(block);
	crash_store_close(s);
	return check_done();
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static bool mount_tmpfs(void)
{
	return !unshare(geteuid() ? CLONE_NEWUSER | CLONE_NEWNS : CLONE_NEWNS) &&
	       !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	       !mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=700");
}

static void test_small_disk(void)
{
	const pid_t pid = fork();
	int status;

	if (!pid)
		_exit(mount_tmpfs() ? on_a_small_disk() : 77);
	status = wait_for(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		fprintf(stderr, "a small disk: omitted, since no file system can be mounted here\n");
	else
		CHECK_INT(status, 0);
}

/* --- kill -9 --- */

/* Store crashes and remove them until we are killed. */
static void write_for_ever(struct crash_store *s)
{
	const struct crash_limits limits = { .throttle = { 2, 3 }, .max_per_guest = 6 };
	static char data[300000];
	struct crash_room room;
	struct failure why;
	struct crash *c;
	char *path;

	for (int64_t now = NOW; ; now++) {
		const struct crash_facts facts = { .guest = now % 3 ? "a" : "b", .reason = "panic", .time = now };

		if (!crash_begin(s, &facts, &limits, &why, &c) ||
		    !crash_write_file(c, "report.txt", data, 3000, &why) ||
		    !crash_make_room(c, &limits, sizeof(data), now, NULL, NULL, &why, &room) ||
		    (room.fits && !crash_write_file(c, "vmcore", data, sizeof(data), &why)) ||
		    !crash_finish(c, &facts, &why, &path)) {
			fprintf(stderr, "%s\n", why.message);
			_exit(1);
		}
		free(path);
	}
}

static bool file_is_whole(int fd, const json_t *file)
{
	struct stat st;

	return !fstatat(fd, json_string_value(json_object_get(file, "name")), &st, 0) &&
	       st.st_size == json_integer_value(json_object_get(file, "size"));
}

/* A directory without suffix has all the files of its meta.json, and no others. */
static void check_place(const char *path, json_t *meta)
{
	const int fd = open(path, O_RDONLY | O_DIRECTORY);
	struct crash_files files;
	json_t *file;
	size_t i;

	CHECK_INT(crash_files_read(fd, &files), 0);
	CHECK_INT(files.num, json_array_size(json_object_get(meta, "files")) + 1);
	json_array_foreach(json_object_get(meta, "files"), i, file)
		CHECK(file_is_whole(fd, file));
	crash_files_deinit(&files);
	close(fd);
}

static void check_after_kill(struct crash_store *s, size_t *num_partial)
{
	struct crash_list list = { 0 };
	struct failure why;

	good(crash_list_add(&list, s, &why), &why);
	for (size_t i = 0; i < list.num; i++) {
		if (list.entries[i].state == CRASH_WHOLE || list.entries[i].state == CRASH_IS_PARTIAL)
			check_place(list.entries[i].path, list.entries[i].meta);
		CHECK(list.entries[i].state != CRASH_WRITING);
		*num_partial += list.entries[i].state == CRASH_IS_PARTIAL;
	}
	crash_list_deinit(&list);
}

static bool no_suffix(void *arg, const struct crash_place *p)
{
	(void)arg;
	CHECK(!*p->suffix || !strcmp(p->suffix, CRASH_PARTIAL));
	return true;
}

static void test_kill(void)
{
	struct crash_store *s = store_open("kill/%n/%s");
	uint64_t r = 1;
	size_t num_partial = 0;
	struct failure why;

	for (int i = 0; i < 50; i++) {
		const long us = (long)random_below(&r, 60000);
		const pid_t pid = fork();

		if (!pid)
			write_for_ever(s);
		nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
		kill(pid, SIGKILL);
		CHECK(WIFSIGNALED(wait_for(pid)));
		check_after_kill(s, &num_partial);
		good(crash_recover(s, NULL, NULL, &why), &why);
		good(crash_walk(s, no_suffix, NULL, NULL, &why), &why);
		check_after_kill(s, &num_partial);
	}
	crash_store_close(s);
}

int main(void)
{
	setenv("TZ", "UTC", 1);
	if (!mkdtemp(dir))
		return 1;
	test_templates();
	test_expansion();
	test_a_crash();
	test_reservation();
	test_a_strange_name();
	test_obstacles();
	test_names_of_dumps();
	test_retention();
	test_age_and_number();
	test_age_of_each();
	test_small_disk();
	test_kill();
	remove_all(dir);
	return check_done();
}

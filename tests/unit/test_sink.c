/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes/bytes.h"
#include "sink/sink.h"

static char dir[] = "/tmp/gd-sink.XXXXXX";

static bool there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static void put_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

static void check_file(const char *path, const void *wanted, size_t len)
{
	char got[256] = { 0 };
	FILE *f = fopen(path, "r");

	if (!CHECK(f))
		return;
	CHECK_INT(fread(got, 1, sizeof(got), f), len);
	CHECK(!memcmp(got, wanted, len));
	fclose(f);
}

/* What the trial says before is so, and it leaves everything as it was. */
static struct gdump_error *create(const char *path, bool force)
{
	const bool was_there = there("out.incomplete");
	struct sink *s = NULL;
	struct gdump_error *expected = sink_file_try(path, force);
	struct gdump_error *err;

	CHECK_INT(there("out.incomplete"), was_there);
	err = sink_file_create(path, force, &s);
	CHECK_STR(expected ? gdump_error_message(expected) : "",
		  err ? gdump_error_message(err) : "");
	gdump_error_destroy(expected);
	sink_close(s);
	return err;
}

static void test_file(void)
{
	struct sink *s;
	struct stat st;
	mode_t mask = umask(0);

	CHECK_OK(sink_file_create("out", false, &s));
	CHECK(s->seeks && there("out.incomplete") && !there("out"));
	CHECK_STR(s->partial_path, "out.incomplete");
	CHECK_OK(sink_write(s, 6, "world", 5));
	CHECK_OK(sink_write(s, 0, "hello", 5));
	CHECK_OK(s->ops->finish(s, 12));
	CHECK(there("out") && !there("out.incomplete"));
	sink_close(s);
	check_file("out", "hello\0world\0", 12);
	CHECK(!stat("out", &st) && (st.st_mode & 07777) == 0600);
	umask(mask);
	unlink("out");
}

static void test_exists(void)
{
	struct sink *s;

	put_file("out", "old");
	CHECK_ERR(create("out", false), GDUMP_ERR_OS, "out: this file already exists");
	check_file("out", "old", 3);
	CHECK(!there("out.incomplete"));
	CHECK_OK(sink_file_create("out", true, &s));
	check_file("out", "old", 3);            /* until the new one is whole */
	CHECK_OK(sink_write(s, 0, "new!", 4));
	CHECK_OK(s->ops->finish(s, 4));
	sink_close(s);
	check_file("out", "new!", 4);
	unlink("out");
}

/* Somebody else made it while we wrote. */
static void test_exists_later(void)
{
	struct gdump_error *err;
	struct sink *s;

	CHECK_OK(sink_file_create("out", false, &s));
	put_file("out", "theirs");
	err = s->ops->finish(s, 0);
	CHECK(err && gdump_error_errno(err) == EEXIST);
	CHECK_ERR(err, GDUMP_ERR_OS, "out");
	sink_close(s);
	check_file("out", "theirs", 6);
	unlink("out");
}

static void test_close_removes(void)
{
	struct sink *s;

	CHECK_OK(sink_file_create("out", false, &s));
	CHECK_OK(sink_write(s, 0, "half", 4));
	sink_close(s);
	CHECK(!there("out") && !there("out.incomplete"));
}

static void test_keep(void)
{
	struct sink *s;

	CHECK_OK(sink_file_create("out", false, &s));
	CHECK_OK(sink_write(s, 0, "half", 4));
	s->keep = true;
	sink_close(s);
	CHECK(!there("out"));
	check_file("out.incomplete", "half", 4);
	/* and the next one does not wipe it unasked */
	CHECK_ERR(create("out", false), GDUMP_ERR_OS, "out.incomplete: an earlier dump left");
	check_file("out.incomplete", "half", 4);
	CHECK_OK(create("out", true));
	CHECK(!there("out.incomplete"));
}

static void test_locked(void)
{
	struct sink *s;

	CHECK_OK(sink_file_create("out", false, &s));
	CHECK_ERR(create("out", false), GDUMP_ERR_OS, "another guestdump writes this file");
	CHECK_ERR(create("out", true), GDUMP_ERR_OS, "another guestdump writes this file");
	CHECK(there("out.incomplete"));
	sink_close(s);
}

/* A link that waits for root to write through it */
static void test_links(void)
{
	put_file("victim", "precious");
	CHECK(!symlink("victim", "out.incomplete"));
	CHECK_ERR(create("out", false), GDUMP_ERR_OS, "out.incomplete");
	CHECK_ERR(create("out", true), GDUMP_ERR_OS, "out.incomplete");
	CHECK(there("out.incomplete"));
	unlink("out.incomplete");
	CHECK(!symlink("nowhere", "out.incomplete"));
	CHECK_ERR(create("out", true), GDUMP_ERR_OS, "out.incomplete");
	unlink("out.incomplete");
	CHECK(!symlink("victim", "out"));
	CHECK_ERR(create("out", false), GDUMP_ERR_OS, "already exists");
	check_file("victim", "precious", 8);
	CHECK(!there("nowhere"));
	unlink("out");
	unlink("victim");
}

/* --force replaces the link, not what it points to. */
static void test_link_forced(void)
{
	struct sink *s;
	struct stat st;

	put_file("victim", "precious");
	CHECK(!symlink("victim", "out"));
	CHECK_OK(sink_file_create("out", true, &s));
	CHECK_OK(sink_write(s, 0, "dump", 4));
	CHECK_OK(s->ops->finish(s, 4));
	sink_close(s);
	CHECK(!lstat("out", &st) && S_ISREG(st.st_mode));
	check_file("victim", "precious", 8);
	check_file("out", "dump", 4);
	unlink("out");
	unlink("victim");
}

/* What is neither a file nor a link to one is not replaced. */
static void test_not_replaced(void)
{
	static const char *const targets[] = { "/proc/self/fd/1", "/dev/null", "." };
	char to[32] = "";

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		CHECK(!symlink(targets[i], "out"));
		CHECK_ERR(create("out", false), GDUMP_ERR_USAGE, "out: this is neither a file nor");
		CHECK_ERR(create("out", true), GDUMP_ERR_USAGE, "out: this is neither a file nor");
		CHECK(readlink("out", to, sizeof(to)) > 0 && to[0] == targets[i][0]);
		CHECK(!there("out.incomplete"));
		unlink("out");
	}
	CHECK(!mkfifo("out", 0600));
	CHECK_ERR(create("out", true), GDUMP_ERR_USAGE, "out: this is neither a file nor");
	unlink("out");
}

/* A descriptor by its name is written to, and no link to it replaced. */
static void test_descriptor(void)
{
	static const char *const none[] = { "/dev/fd/", "/dev/fd/1x", "/dev/fd/-1", "dev/fd/1" };
	char name[32], got[8] = "";
	struct sink *s;
	int fds[2];

	CHECK(sink_is_descriptor("-") && sink_is_descriptor("/dev/stdout"));
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK(!sink_is_descriptor(none[i]));
	CHECK(!pipe(fds));
	snprintf(name, sizeof(name), "/dev/fd/%d", fds[1]);
	CHECK_OK(sink_check(name, &(struct sink_options){ .force = false }));
	CHECK_OK(sink_open(name, &(struct sink_options){ .force = true }, &s));
	CHECK(!s->partial_path);
	CHECK_OK(sink_write(s, 0, "dump", 4));
	CHECK_OK(s->ops->finish(s, 4));
	sink_close(s);
	CHECK_INT(write(fds[1], "!", 1), 1);    /* it is still open */
	CHECK_INT(read(fds[0], got, sizeof(got)), 5);
	CHECK_STR(got, "dump!");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fds[0]);
	CHECK_ERR(sink_open(name, &(struct sink_options){ .force = true }, &s), GDUMP_ERR_OS, "cannot write to descriptor");
	close(fds[0]);
	close(fds[1]);
	CHECK_ERR(sink_open(name, &(struct sink_options){ .force = true }, &s), GDUMP_ERR_OS, "cannot write to descriptor");
}

static void test_device(void)
{
	struct sink *s;

	CHECK_OK(sink_check("/dev/null", &(struct sink_options){ .force = true }));
	CHECK_OK(sink_open("/dev/null", &(struct sink_options){ .force = false }, &s));
	CHECK(!s->seeks);
	CHECK_OK(sink_write(s, 0, "dump", 4));
	sink_close(s);
	CHECK(!mkfifo("fifo", 0600));
	CHECK_OK(sink_check("fifo", &(struct sink_options){ .force = false }));
	CHECK_ERR(sink_open("fifo", &(struct sink_options){ .force = true }, &s), GDUMP_ERR_OS, "fifo: no process reads");
	unlink("fifo");
}

static void test_places(void)
{
	CHECK(!mkdir("folder", 0700));
	CHECK_ERR(create("folder", false), GDUMP_ERR_USAGE, "folder: this is a directory");
	CHECK_ERR(create("folder", true), GDUMP_ERR_USAGE, "folder: this is a directory");
	CHECK_ERR(create("folder/", false), GDUMP_ERR_USAGE, "is a directory");
	CHECK_ERR(create("none/out", false), GDUMP_ERR_OS, "none/out: cannot open its directory");
	CHECK_OK(create("folder/out", false));
	CHECK(!mkfifo("folder/out.incomplete", 0600));
	CHECK_ERR(create("folder/out", true), GDUMP_ERR_OS, "out.incomplete");
	unlink("folder/out.incomplete");
	rmdir("folder");
}

/* A pipe gets zeros where nothing was written, and cannot go back. */
static void test_stream(void)
{
	unsigned char got[32];
	struct sink *s;
	int fds[2];

	CHECK(!pipe(fds));
	CHECK_OK(sink_stream_create(fds[1], &s));
	CHECK(!s->seeks && !s->partial_path);
	CHECK_OK(sink_write(s, 2, "ab", 2));
	CHECK_OK(sink_write(s, 4, "c", 1));
	CHECK_ERR(sink_write(s, 4, "d", 1), GDUMP_ERR_USAGE, "cannot seek back to offset 4");
	CHECK_OK(sink_write(s, 7, "e", 1));
	CHECK_OK(s->ops->finish(s, 10));
	sink_close(s);
	close(fds[1]);
	CHECK_INT(read(fds[0], got, sizeof(got)), 10);
	CHECK(!memcmp(got, "\0\0abc\0\0e\0\0", 10));
	close(fds[0]);
}

/* "> file" of a shell is written in place, from where it stands. */
static void test_redirected(void)
{
	struct sink *s;
	int fd = open("out", O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK_INT(write(fd, "#!", 2), 2);
	CHECK_OK(sink_stream_create(fd, &s));
	CHECK(s->seeks);
	CHECK_OK(sink_write(s, 3, "b", 1));
	CHECK_OK(sink_write(s, 0, "a", 1));
	CHECK_OK(s->ops->finish(s, 6));
	sink_close(s);
	CHECK_INT(lseek(fd, 0, SEEK_CUR), 8);
	check_file("out", "#!a\0\0b\0\0", 8);
	close(fd);
	fd = open("out", O_WRONLY | O_APPEND);
	CHECK_OK(sink_stream_create(fd, &s));
	CHECK(!s->seeks);
	sink_close(s);
	close(fd);
	unlink("out");
}

static void test_closed_pipe(void)
{
	struct gdump_error *err;
	struct sink *s;
	int fds[2];

	CHECK(!pipe(fds));
	close(fds[0]);
	CHECK_OK(sink_stream_create(fds[1], &s));
	err = sink_write(s, 0, "x", 1);
	CHECK(err && gdump_error_errno(err) == EPIPE);
	CHECK_ERR(err, GDUMP_ERR_OS, "cannot write the output");
	sink_close(s);
	close(fds[1]);
}

/* Records in any order come back as one file; runs share a record. */
static void test_flat(void)
{
	struct sink *s;
	struct bytes *b;
	struct stat st;
	char got[16];

	CHECK_OK(sink_file_create("out", false, &s));
	CHECK_OK(sink_flat_create(s, &s));
	CHECK(!s->seeks);
	CHECK_STR(s->partial_path, "out.incomplete");
	CHECK_OK(sink_write(s, 8, "cd", 2));
	CHECK_OK(sink_write(s, 10, "ef", 2));
	CHECK_OK(sink_write(s, 2, "ab", 2));
	CHECK_OK(s->ops->finish(s, 14));
	sink_close(s);
	CHECK(!stat("out", &st) && st.st_size == 4096 + (16 + 4) + (16 + 2) + (16 + 1) + 16);
	CHECK_OK(bytes_file_open("out", NULL, &b));
	CHECK_OK(bytes_flat_open(b, &b));
	CHECK_INT(b->size, 14);
	CHECK_OK(bytes_read(b, 0, got, 14));
	CHECK(!memcmp(got, "\0\0ab\0\0\0\0cdef\0\0", 14));
	bytes_close(b);
	unlink("out");
}

static void test_flat_keep(void)
{
	struct sink *s;

	CHECK_OK(sink_file_create("out", false, &s));
	CHECK_OK(sink_flat_create(s, &s));
	s->keep = true;
	sink_close(s);
	CHECK(there("out.incomplete"));
	unlink("out.incomplete");
}

/* More than one buffer, written as one run */
static void test_flat_large(void)
{
	const size_t size = (3 << 20) + 5;
	unsigned char *data = malloc(size), *got = malloc(size);
	struct sink *s;
	struct bytes *b;

	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 7 + i / 251);
	CHECK_OK(sink_file_create("out", false, &s));
	CHECK_OK(sink_flat_create(s, &s));
	CHECK_OK(sink_write(s, 0, data, 12345));
	CHECK_OK(sink_write(s, 12345, data + 12345, size - 12345));
	CHECK_OK(s->ops->finish(s, size));
	sink_close(s);
	CHECK_OK(bytes_file_open("out", NULL, &b));
	CHECK_OK(bytes_flat_open(b, &b));
	CHECK_INT(b->size, size);
	CHECK_OK(bytes_read(b, 0, got, size));
	CHECK(!memcmp(got, data, size));
	bytes_close(b);
	unlink("out");
	free(data);
	free(got);
}

/* What is not in order waits in a temporary file for a sink that wants order. */
static void test_spool(void)
{
	const size_t size = (2 << 20) + 10;     /* more than one piece, and a hole in it */
	unsigned char *got = calloc(1, size);
	struct sink *s;
	int fds[2];

	put_file("out", "");
	fds[1] = open("out", O_WRONLY | O_APPEND);
	CHECK_OK(sink_stream_create(fds[1], &s));
	CHECK(!s->seeks);
	CHECK_OK(sink_spool_create(s, ".", &s));
	CHECK(s->seeks);
	CHECK_OK(sink_write(s, size - 15, "last", 4));
	CHECK_OK(sink_write(s, 0, "first", 5));
	CHECK_INT(lseek(fds[1], 0, SEEK_END), 0);
	CHECK_OK(s->ops->finish(s, size));
	sink_close(s);
	close(fds[1]);

	fds[0] = open("out", O_RDONLY);
	CHECK_INT(lseek(fds[0], 0, SEEK_END), size);
	CHECK_INT(pread(fds[0], got, size, 0), size);
	CHECK(!memcmp(got, "first", 6) && !memcmp(got + size - 15, "last", 5));
	for (size_t i = 5; i < size - 15; i++)
		got[0] |= got[i];
	CHECK_INT(got[0], 'f');
	close(fds[0]);
	free(got);
	unlink("out");
}

static void test_spool_errors(void)
{
	struct sink *inner, *s;

	CHECK_OK(sink_stream_create(STDERR_FILENO, &inner));
	CHECK_ERR(sink_spool_create(inner, NULL, &s), GDUMP_ERR_USAGE, "name a directory");
	CHECK_OK(sink_stream_create(STDERR_FILENO, &inner));
	CHECK_ERR(sink_spool_create(inner, "nowhere", &s), GDUMP_ERR_OS,
		  "cannot create a temporary file in nowhere");
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(dir) || chdir(dir))
		return 1;
	test_file();
	test_exists();
	test_exists_later();
	test_close_removes();
	test_keep();
	test_locked();
	test_links();
	test_link_forced();
	test_not_replaced();
	test_descriptor();
	test_device();
	test_places();
	test_stream();
	test_redirected();
	test_closed_pipe();
	test_flat();
	test_flat_keep();
	test_flat_large();
	test_spool();
	test_spool_errors();
	CHECK(!rmdir(dir));
	return check_done();
}

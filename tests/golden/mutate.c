/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mutate MKDUMP TEXT... - change one field of a good dump at a time, and cut it
 *
 * Each size, offset, count and flag gets values that are wrong in some way, and
 * the file is cut at the beginning of each.  Whatever comes of it, it comes soon and
 * with little memory: a dump that can be read, or an error that says what is wrong.
 * What a cut file still has is what the whole one had.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <guestdump.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
	UNIT = 4096,
	MAX_UNITS = 1024,
	MAX_SECONDS = SANITIZED ? 10 : 2,       /* of CPU time                          */
	MAX_KIB = SANITIZED ? 1 << 20 : 100 << 10,
	MAX_FIELDS = 400,                       /* of one file                          */
	EXIT_REFUSED = 9, EXIT_BAD_MESSAGE, EXIT_WRONG_DATA,
};

struct field {
	char name[64];
	unsigned long long off;
	unsigned int size;
};

static char dir[64];
static int num_failed, num_tried, num_refused;

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void write_file(const char *name, const void *buf, size_t len)
{
	char path[128];
	FILE *f;

	path_of(path, sizeof(path), name);
	f = fopen(path, "wb");
	if (!f || fwrite(buf, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* An error has to say more than that there is one. */
static void check_message(struct gdump_error *err)
{
	const char *message = err ? gdump_error_message(err) : NULL;

	if (message && (strlen(message) < strlen(dir) + 20 || strchr(message, '\n') ||
			gdump_error_code(err) == GDUMP_ERR_NOMEM)) {
		fprintf(stderr, "  message: %s\n", message);
		_exit(EXIT_BAD_MESSAGE);
	}
	gdump_error_destroy(err);
}

/* Read all of the small piece of memory that the good file has. */
static void check_memory(struct gdump *g, const unsigned char *good, const bool *there,
			 const uint64_t *paddr, size_t num)
{
	unsigned char buf[UNIT];

	for (size_t i = 0; i < num; i++) {
		struct gdump_error *err = gdump_read(g, paddr[i], buf, UNIT);

		if (!err && good && (!there[i] || memcmp(buf, good + i * UNIT, UNIT))) {
			fprintf(stderr, "  memory at 0x%llx is another\n",
				(unsigned long long)paddr[i]);
			_exit(EXIT_WRONG_DATA);
		}
		check_message(err);
	}
}

struct memory {
	unsigned char *good;
	bool there[MAX_UNITS];
	uint64_t paddr[MAX_UNITS];
	size_t num;
};

static void remember(const char *path, struct memory *m)
{
	struct gdump *g = NULL;
	struct gdump_error *err = gdump_open(path, NULL, &g);
	const struct gdump_info *info;

	if (err) {
		fprintf(stderr, "%s\n", gdump_error_message(err));
		exit(1);
	}
	info = gdump_info(g);
	m->num = 0;
	m->good = malloc(MAX_UNITS * UNIT);
	for (size_t i = 0; i < info->num_ranges; i++) {
		for (uint64_t at = 0; at < info->ranges[i].size && m->num < MAX_UNITS; at += UNIT) {
			m->paddr[m->num] = info->ranges[i].start + at;
			err = gdump_read(g, m->paddr[m->num], m->good + m->num * UNIT, UNIT);
			m->there[m->num++] = !err;
			gdump_error_destroy(err);
		}
	}
	gdump_close(g);
}

/* A stream that was cut before a page came again has what came before, and is incomplete. */
static bool may_be_older(const struct gdump_info *info)
{
	return info->incomplete && (!strcmp(info->format, "savevm") || !strcmp(info->format, "qcow2"));
}

/* In a process of its own: all that can be done with a dump. */
static void use(const char *path, const struct memory *m, bool cut)
{
	static const char *const formats[] = { "kdump", "elf" };
	struct gdump_write_options opt = { .size = sizeof(opt), .threads = 2, .force = true };
	struct gdump *g = NULL;
	struct gdump_error *err = gdump_open(path, NULL, &g);
	char out[128];

	if (err) {
		check_message(err);
		_exit(EXIT_REFUSED);
	}
	check_memory(g, cut && !may_be_older(gdump_info(g)) ? m->good : NULL, m->there, m->paddr,
		     m->num);
	check_message(gdump_verify(g, NULL));
	path_of(out, sizeof(out), "out");
	for (size_t i = 0; i < 2; i++) {
		opt.format = formats[i];
		check_message(gdump_write(g, NULL, out, &opt));
	}
	gdump_close(g);
}

static void limit(__rlimit_resource_t what, rlim_t to)
{
	struct rlimit r = { .rlim_cur = to, .rlim_max = to };

	setrlimit(what, &r);
}

static const char *what_went_wrong(int status, const struct rusage *usage)
{
	static char text[64];

	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	if (WEXITSTATUS(status) == EXIT_BAD_MESSAGE)
		return "an error that does not help";
	if (WEXITSTATUS(status) == EXIT_WRONG_DATA)
		return "wrong data";
	if (WEXITSTATUS(status) && WEXITSTATUS(status) != EXIT_REFUSED)
		return "a crash";
	if (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec >= MAX_SECONDS)
		return "too slow";
	if (usage->ru_maxrss > MAX_KIB) {
		snprintf(text, sizeof(text), "%ld KiB of memory", usage->ru_maxrss);
		return text;
	}
	return NULL;
}

static void try(const char *what, const struct memory *m, bool cut)
{
	struct rusage usage;
	const char *wrong;
	char path[128];
	int status;
	pid_t pid;

	path_of(path, sizeof(path), "dump");
	pid = fork();
	if (!pid) {
		limit(RLIMIT_CPU, 2 * MAX_SECONDS);
		limit(RLIMIT_FSIZE, 256 << 20);
		limit(RLIMIT_CORE, 0);
		if (!SANITIZED)
			limit(RLIMIT_AS, (rlim_t)2 << 30);
		signal(SIGXFSZ, SIG_IGN);
		use(path, m, cut);
		_exit(0);
	}
	wait4(pid, &status, 0, &usage);
	wrong = what_went_wrong(status, &usage);
	num_tried++;
	num_refused += WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REFUSED;
	if (wrong) {
		fprintf(stderr, "%s: %s\n", what, wrong);
		num_failed++;
	}
}

/* Nothing can tell a change of uncompressed memory. */
static size_t read_fields(FILE *f, struct field *list)
{
	size_t n = 0;

	while (n < MAX_FIELDS && fscanf(f, "%63s %llu %u", list[n].name, &list[n].off,
					&list[n].size) == 3)
		n += !strstr(list[n].name, ".memory");
	return n;
}

/* Set a field whose first byte is the most or the least significant one. */
static void set(unsigned char *p, unsigned int size, uint64_t value, bool big)
{
	for (unsigned int i = 0; i < size; i++)
		p[big ? size - 1 - i : i] = (unsigned char)(value >> 8 * i);
}

static uint64_t get(const unsigned char *p, unsigned int size, bool big)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)p[big ? size - 1 - i : i] << 8 * i;
	return value;
}

/* Of many descriptors and notes of one kind a few will do. */
static bool is_boring(const char *name)
{
	const char *digit = strpbrk(name, "0123456789");
	const long i = digit ? strtol(digit, NULL, 10) : 0;

	return i > 2 && i % 41 && strncmp(name, "record", 6) && strncmp(name, "phdr", 4);
}

/* With $GUESTDUMP_QUICK, one of five is tried. */
static bool is_for_longer(void)
{
	static unsigned int turn;

	return getenv("GUESTDUMP_QUICK") && turn++ % 5;
}

static void mutate_field(const struct field *f, unsigned char *buf, size_t len, bool big,
			 const char *name, const struct memory *m)
{
	const unsigned int size = f->size <= 8 ? f->size : 0;   /* a text is no number */
	const uint64_t top = ~(uint64_t)0 >> (64 - 8 * (size ? size : 8));
	const uint64_t old = get(buf + f->off, size, big);
	const uint64_t values[] = { 0, 1, old - 1, old + 1, old ^ (top / 2 + 1), top, top - 4095,
				    old * 2, old + 4096, 0x1000000, 0x400000000 };
	char what[256];

	for (size_t i = 0; size && i < sizeof(values) / sizeof(values[0]); i++) {
		if ((values[i] & top) == old || is_for_longer())
			continue;
		set(buf + f->off, size, values[i], big);
		write_file("dump", buf, len);
		snprintf(what, sizeof(what), "%.100s: %.63s = 0x%llx", name, f->name,
			 (unsigned long long)(values[i] & top));
		try(what, m, false);
		set(buf + f->off, size, old, big);
	}
	write_file("dump", buf, (size_t)f->off);
	snprintf(what, sizeof(what), "%.100s: cut at %.63s (%llu)", name, f->name, f->off);
	try(what, m, true);
}

static void mutate(const char *mkdump, const char *text)
{
	static struct field fields[MAX_FIELDS];
	static unsigned char buf[8 << 20];
	struct memory m;
	char command[512], path[128];
	size_t len, num;
	FILE *f;

	path_of(path, sizeof(path), "dump");
	snprintf(command, sizeof(command), "'%s' --fields '%s' '%s'", mkdump, text, path);
	f = popen(command, "r");
	num = read_fields(f, fields);
	pclose(f);
	f = fopen(path, "rb");
	if (!f || !num) {
		fprintf(stderr, "%s: no dump made of it\n", text);
		exit(1);
	}
	len = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	remember(path, &m);
	for (size_t i = 0; i < num; i++) {
		if (!is_boring(fields[i].name))
			mutate_field(&fields[i], buf, len, strstr(text, "-be-") || strstr(text, "flat") ||
				     strstr(text, "s390") || strstr(text, "savevm") ||
				     strstr(text, "qcow2"),
				     strrchr(text, '/') ? strrchr(text, '/') + 1 : text, &m);
	}
	free(m.good);
}

int main(int argc, char **argv)
{
	const char *names[] = { "dump", "out", "out.incomplete" };
	char path[128];

	snprintf(dir, sizeof(dir), "%s/gd-mutate.XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (argc < 3 || !mkdtemp(dir))
		return 2;
	for (int i = 2; i < argc; i++)
		mutate(argv[1], argv[i]);
	for (size_t i = 0; i < 3; i++) {
		path_of(path, sizeof(path), names[i]);
		unlink(path);
	}
	rmdir(dir);
	fprintf(stderr, "%d changed files, %d of them cannot be opened, %d failures\n", num_tried,
		num_refused, num_failed);
	return num_failed != 0;
}

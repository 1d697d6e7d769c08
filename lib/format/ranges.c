/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../arch/arch.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

enum { MAX_TEXT = 64 << 20, MAX_LINE = 200 };

static const char magic[] = "guestdump-ranges 1";

void ranges_deinit(struct ranges *r)
{
	free(r->list);
	*r = (struct ranges){ 0 };
}

struct gdump_error *ranges_add(struct ranges *r, const struct ranges_entry *entry)
{
	if (!ARRAY_GROW(r->list, r->num))
		return error_nomem();
	r->list[r->num++] = *entry;
	return NULL;
}

static bool ranges_get_number(const char **p, uint64_t *ret)
{
	char *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*ret = strtoull(*p, &end, 0);
	*p = end;
	return !errno;
}

/* "ADDR:SIZE@OFFSET[ KIND]" */
static bool ranges_get_entry(const char *line, struct ranges_entry *ret)
{
	const char *p = line;

	if (!ranges_get_number(&p, &ret->paddr) || *p++ != ':' ||
	    !ranges_get_number(&p, &ret->size) || *p++ != '@' ||
	    !ranges_get_number(&p, &ret->off))
		return false;
	ret->kind = strcmp(p, " device") ? GDUMP_RANGE_RAM : GDUMP_RANGE_DEVICE;
	return ret->size && (!*p || !strcmp(p, " ram") || ret->kind == GDUMP_RANGE_DEVICE);
}

static bool ranges_get_machine(const char *name, struct ranges *r)
{
	const struct arch *arch;

	for (size_t i = 0; (arch = arch_at(i)); i++) {
		if (!strcmp(arch->name, name))
			r->machine = arch->machine;
	}
	return true;                    /* a newer version may know more machines */
}

/* The value of a line "KEY VALUE", or NULL */
static const char *ranges_value_of(const char *line, const char *key)
{
	const size_t len = strlen(key);

	return !strncmp(line, key, len) && line[len] == ' ' ? line + len + 1 : NULL;
}

static bool ranges_get_key(const char *line, struct ranges *r)
{
	const char *v;
	uint64_t n;

	if (!strcmp(line, "incomplete")) {
		r->incomplete = true;
		return true;
	}
	if ((v = ranges_value_of(line, "machine")))
		return ranges_get_machine(v, r);
	if ((v = ranges_value_of(line, "byte-order"))) {
		r->big = !strcmp(v, "big");
		return r->big || !strcmp(v, "little");
	}
	if ((v = ranges_value_of(line, "size")))
		return ranges_get_number(&v, &r->file_size) && !*v;
	if (!(v = ranges_value_of(line, "page-size")) || !ranges_get_number(&v, &n) || *v)
		return false;
	r->page_size = (uint32_t)n;
	return is_power_of_2(n) && n >= 4096 && n <= 262144;
}

static struct gdump_error *ranges_parse_line(const char *line, size_t number, struct ranges *r)
{
	struct ranges_entry entry;

	if (number == 1 ? !strcmp(line, magic) : !*line || *line == '#' || ranges_get_key(line, r))
		return NULL;
	if (number > 1 && ranges_get_entry(line, &entry))
		return ranges_add(r, &entry);
	if (number == 1)
		return error_new(GDUMP_ERR_CORRUPT, "line 1: '%s' is not '%s'", line, magic);
	return error_new(GDUMP_ERR_CORRUPT, "line %zu: '%s' is neither a range nor a known setting",
			 number, line);
}

struct gdump_error *ranges_parse(const char *text, size_t len, struct ranges *ret)
{
	const char *end = text + len;
	CLEANUP_RANGES struct ranges r = { 0 };
	char line[MAX_LINE];
	struct gdump_error *err = NULL;

	for (size_t number = 1; !err && (text < end || number == 1); number++) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((eol ? eol : end) - text);

		n = MIN(n, sizeof(line) - 1);
		memcpy(line, text, n);
		line[n] = 0;
		err = ranges_parse_line(line, number, &r);
		text = eol ? eol + 1 : end;
	}
	if (!err && !r.num)
		err = error_new(GDUMP_ERR_CORRUPT,
				"no line says where a range of memory is: the end of the file is missing");
	if (err)
		return err;
	*ret = r;
	r.list = NULL;
	return NULL;
}

char *ranges_text(const struct ranges *r)
{
	const struct arch *arch = arch_by_machine(r->machine);
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fprintf(f, "%s\nsize %" PRIu64 "\n", magic, r->file_size);
	if (r->machine)
		fprintf(f, "machine %s\nbyte-order %s\n", arch->name, r->big ? "big" : "little");
	fprintf(f, "page-size %u\n%s", r->page_size, r->incomplete ? "incomplete\n" : "");
	for (size_t i = 0; i < r->num; i++) {
		const struct ranges_entry *p = &r->list[i];

		fprintf(f, "0x%" PRIx64 ":0x%" PRIx64 "@0x%" PRIx64 " %s\n", p->paddr, p->size,
			p->off, p->kind == GDUMP_RANGE_DEVICE ? "device" : "ram");
	}
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

char *ranges_path(const char *path)
{
	char *name;

	return asprintf(&name, "%s.ranges", path) < 0 ? NULL : name;
}

static struct gdump_error *ranges_load_fd(int fd, struct ranges *ret)
{
	CLEANUP_FREE char *text = NULL;
	struct stat st;
	size_t got;
	int rc;

	if (fstat(fd, &st))
		return error_os(errno, "cannot open");
	if (!S_ISREG(st.st_mode) || st.st_size > MAX_TEXT)
		return error_new(GDUMP_ERR_CORRUPT, "the file is not a text that guestdump wrote");
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return error_nomem();
	rc = io_pread(fd, text, (size_t)st.st_size, 0, &got);
	return rc ? error_os(rc, "cannot read") : ranges_parse(text, got, ret);
}

struct gdump_error *ranges_read(struct bytes *in, struct ranges *ret)
{
	CLEANUP_FREE char *text = NULL;
	struct gdump_error *err;

	if (in->size > MAX_TEXT)
		return error_new(GDUMP_ERR_CORRUPT, "the file is not a text that guestdump wrote");
	text = malloc((size_t)in->size + 1);
	err = text ? bytes_read(in, 0, text, (size_t)in->size) : error_nomem();
	return err ? err : ranges_parse(text, (size_t)in->size, ret);
}

struct gdump_error *ranges_load(const char *path, struct ranges *ret, bool *found)
{
	CLEANUP_FREE char *name = ranges_path(path);
	CLEANUP_FD int fd = -1;

	*found = false;
	if (!name)
		return error_nomem();
	fd = io_openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG))
		return NULL;
	*found = true;
	if (fd < 0)
		return error_os(errno, "%s", name);
	return error_prefix(ranges_load_fd(fd, ret), "%s", name);
}

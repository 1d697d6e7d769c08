/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * state [--range START:SIZE@OFFSET]... DUMP... - print all that the library finds in a
 * dump, as mkdump --expect does
 * state --view DUMP... - print the bytes of its view
 *
 * Through guestdump.h only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <guestdump.h>

enum { UNIT = 4096 };

static uint64_t hash(const void *buf, size_t len)
{
	const unsigned char *p = buf;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3;
	return h;
}

static int fail(struct gdump_error *err)
{
	fprintf(stderr, "%s\n", gdump_error_message(err));
	gdump_error_destroy(err);
	return 1;
}

static void print_machine(const struct gdump_info *info)
{
	printf("arch %s %s %d\n", info->arch, info->big_endian ? "big" : "little",
	       info->is_64bit ? 64 : 32);
	printf("page %" PRIu32 "\n", info->page_size);
	printf("cpus %zu\n", info->num_cpus);
	printf("phys_base 0x%" PRIx64 "\n", info->phys_base);
	if (info->release)
		printf("release %s\n", info->release);
	if (info->version)
		printf("version %s\n", info->version);
	if (info->incomplete)
		printf("incomplete\n");
}

static void print_lists(const struct gdump_info *info)
{
	for (size_t i = 0; i < info->num_ranges; i++)
		printf("range 0x%" PRIx64 " 0x%" PRIx64 " %s\n", info->ranges[i].start,
		       info->ranges[i].size,
		       info->ranges[i].kind == GDUMP_RANGE_DEVICE ? "device" : "ram");
	for (size_t i = 0; i < info->num_notes; i++) {
		const struct gdump_note *n = &info->notes[i];

		printf("note %s 0x%" PRIx32 " %" PRId32 " %zu %016" PRIx64 "\n", n->name, n->type,
		       n->cpu, n->size, hash(n->desc, n->size));
	}
	if (info->vmcoreinfo)
		printf("vmcoreinfo %zu %016" PRIx64 "\n", info->vmcoreinfo_size,
		       hash(info->vmcoreinfo, info->vmcoreinfo_size));
}

static void print_registers(const struct gdump *g, const struct gdump_info *info)
{
	static const char *const pcs[] = { "rip", "eip", "pc", "nip", "psw_addr" };
	struct gdump_register r;

	for (size_t cpu = 0; cpu < info->num_cpus; cpu++) {
		for (size_t i = 0; gdump_register_at(g, cpu, i, &r); i++) {
			for (size_t k = 0; k < sizeof(pcs) / sizeof(pcs[0]); k++) {
				if (!strcmp(r.name, pcs[k]) && !strcmp(r.set, "general"))
					printf("cpu %zu %s 0x%" PRIx64 "\n", cpu, r.name, r.value);
			}
		}
	}
}

/* Read what of a unit is in ranges; the rest is zero. */
static struct gdump_error *read_unit(struct gdump *g, uint64_t paddr, unsigned char *buf)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_error *err = NULL;
	bool some = false;

	memset(buf, 0, UNIT);
	for (size_t i = 0; !err && i < info->num_ranges; i++) {
		const struct gdump_range *r = &info->ranges[i];
		uint64_t from = r->start > paddr ? r->start : paddr;
		uint64_t last = r->start + (r->size - 1);

		last = last < paddr + (UNIT - 1) ? last : paddr + (UNIT - 1);
		if (from > last || last < paddr)
			continue;
		some = true;
		err = gdump_read(g, from, buf + (from - paddr), (size_t)(last - from + 1));
	}
	return some ? err : gdump_read(g, paddr, buf, UNIT);
}

static void print_unit(struct gdump *g, uint64_t paddr)
{
	static const unsigned char zeros[UNIT];
	unsigned char buf[UNIT];
	struct gdump_error *err = read_unit(g, paddr, buf);

	printf("memory 0x%" PRIx64 " ", paddr);
	if (err && gdump_error_code(err) == GDUMP_ERR_NODATA)
		printf("absent\n");
	else if (err)
		printf("error %s\n", gdump_error_message(err));
	else if (!memcmp(buf, zeros, sizeof(buf)))
		printf("zero\n");
	else
		printf("%016" PRIx64 "\n", hash(buf, sizeof(buf)));
	gdump_error_destroy(err);
}

static void print_memory(struct gdump *g, const struct gdump_info *info)
{
	uint64_t next = 0;

	for (size_t i = 0; i < info->num_ranges; i++) {
		const struct gdump_range *r = &info->ranges[i];
		uint64_t at = r->start - r->start % info->page_size, last = r->start + (r->size - 1);

		at = at < next ? next : at;
		last += info->page_size - 1 - last % info->page_size;
		for (; at <= last && at >= next; at += UNIT) {
			print_unit(g, at);
			next = at + UNIT;
		}
	}
}

/* "START:SIZE@OFFSET" */
static struct gdump_extent extent_of(const char *text)
{
	struct gdump_extent p = { 0 };

	if (sscanf(text, "%" SCNx64 ":%" SCNx64 "@%" SCNx64, &p.start, &p.size, &p.offset) != 3) {
		fprintf(stderr, "'%s' is no range\n", text);
		exit(2);
	}
	return p;
}

/* In pieces that end anywhere, the last one first, to check that each stands alone */
static struct gdump_error *read_view(struct gdump_view *v, unsigned char *buf)
{
	enum { PIECE = 70001 };
	const uint64_t size = gdump_view_size(v);
	struct gdump_error *err = gdump_view_read(v, size, buf, 1);

	if (!err) {
		fprintf(stderr, "the view can be read past its end\n");
		exit(1);
	}
	gdump_error_destroy(err);
	err = NULL;
	for (uint64_t end = size, n; !err && end; end -= n) {
		n = end % PIECE ? end % PIECE : PIECE;
		err = gdump_view_read(v, end - n, buf + (end - n), (size_t)n);
	}
	return err;
}

static int print_view(struct gdump *g)
{
	struct gdump_view *v = NULL;
	struct gdump_error *err = gdump_view_open(g, &v);
	unsigned char *buf = err ? NULL : malloc((size_t)gdump_view_size(v) + 1);
	int status = 1;

	if (!err && buf)
		err = read_view(v, buf);
	if (err)
		status = fail(err);
	else if (buf)
		status = fwrite(buf, 1, (size_t)gdump_view_size(v), stdout) != gdump_view_size(v);
	gdump_view_close(v);
	free(buf);
	return status;
}

static int print_state(struct gdump *g)
{
	print_machine(gdump_info(g));
	print_lists(gdump_info(g));
	print_registers(g, gdump_info(g));
	print_memory(g, gdump_info(g));
	return 0;
}

int main(int argc, char **argv)
{
	const bool view = argc > 1 && !strcmp(argv[1], "--view");
	struct gdump_extent extents[64];
	struct gdump_open_options opt = { .size = sizeof(opt), .extents = extents };
	struct gdump_error *err;
	struct gdump *g;
	int i = view ? 2 : 1, status;

	for (; i + 1 < argc && opt.num_extents < 64 && !strcmp(argv[i], "--range"); i += 2)
		extents[opt.num_extents++] = extent_of(argv[i + 1]);
	if (i >= argc)
		return 2;
	opt.parts = (const char *const *)(argv + i + 1);
	opt.num_parts = (size_t)(argc - i - 1);
	err = gdump_open(argv[i], &opt, &g);
	if (err)
		return fail(err);
	status = view ? print_view(g) : print_state(g);
	gdump_close(g);
	return status;
}

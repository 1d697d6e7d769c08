/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/savevm.c - a guest's state as QEMU saves it: a migration stream in a file
 *
 * Theory of operation.  On open the stream is read once, in order; an index
 * (page_index.h) of 8 bytes a page records where each page's latest contents are, and
 * pages are read from there later.  With mapped-ram the pages have fixed places and
 * only bitmaps are read.  The devices after the RAM are then read as a whole: they
 * have the CPUs' registers, VMCOREINFO's address, and what placement.c needs.
 *
 * A stream ends early when the host goes down while it saves the guest: pages that did
 * not get into it are absent.  In a complete stream, pages that were never sent are
 * zero, but QEMU sends each page at least once, so such a stream is incomplete: either its
 * addresses were damaged, or the guest reported free pages (free page hinting).
 *
 * Facts: see the headers of migration/; for mapped-ram QEMU's docs/devel/migration/mapped-ram.rst.
 */
#include "savevm.h"
#include "savevm_source.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../kernel/find_vmcoreinfo.h"
#include "../migration/cpu_notes.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	DEVICE_BYTES = 4 << 20,         /* read after the RAM, and then as many */
	MAX_DEVICE_BYTES = 256 << 20,
	MAX_EARLY_BYTES = 16 << 20,
	READ_SIZE = 1 << 20,            /* of the stream, at once               */
};

static bool savevm_probe(const unsigned char *head, size_t len)
{
	return len >= 8 && !memcmp(head, "QEVM", 4) && !head[4] && !head[5] && !head[6];
}

static void savevm_drop_devices(struct savevm *v)
{
	devices_deinit(&v->devices);
	free(v->early);
	free(v->late);
	v->early = v->late = NULL;
	v->early_len = v->late_len = 0;
}

/* Forget the stream. */
static void savevm_drop_stream(struct savevm *v)
{
	savevm_drop_devices(v);
	for (size_t i = 0; v->bitmaps && i < v->m.num_blocks; i++)
		free(v->bitmaps[i]);
	free(v->bitmaps);
	v->bitmaps = NULL;
	page_index_deinit(&v->index);
	migration_deinit(&v->m);
}

static void savevm_close(struct source *s)
{
	struct savevm *v = (struct savevm *)s;

	savevm_drop_stream(v);
	placement_deinit(&v->layout);
	bytes_close(v->in);
	free(v);
}

static const struct source_ops savevm_source_ops = {
	.has_absent = true,
	.read = savevm_read,
	.scan = savevm_scan,
	.gap = savevm_gap,
	.close = savevm_close,
};

/* Opening ----------------------------------------------------------------- */

static struct gdump_error *savevm_read_bitmap(struct savevm *v, uint32_t block)
{
	const struct migration_block *b = &v->m.blocks[block];
	const uint64_t size = div_up(b->size / v->m.page_size, 64) * 8;

	if (!range_fits(b->bitmap_off, size, v->in->size) ||
	    !range_fits(b->pages_off, b->size, v->in->size))
		return savevm_page_error(v, block, 0, "its pages are past the end of the file");
	v->bitmaps[block] = malloc(size);
	if (!v->bitmaps[block])
		return error_nomem();
	return bytes_read(v->in, b->bitmap_off, v->bitmaps[block], size);
}

static struct gdump_error *savevm_on_blocks(void *arg, const struct migration *m)
{
	struct savevm *v = arg;
	struct gdump_error *err = page_index_init(&v->index, m);

	v->big_longs = !strncmp(m->machine, "s390", 4);
	v->bitmaps = calloc(m->num_blocks, sizeof(*v->bitmaps));
	if (!err && !v->bitmaps)
		err = error_nomem();
	for (uint32_t i = 0; !err && i < m->num_blocks; i++) {
		if (m->blocks[i].pages_off)
			err = savevm_read_bitmap(v, i);
	}
	return err;
}

static struct gdump_error *savevm_on_page(void *arg, const struct migration_page *page)
{
	struct savevm *v = arg;

	return page_index_add(&v->index, page);
}

/* A device that makes it too much is omitted: memory does not need it. */
static struct gdump_error *savevm_on_device(void *arg, uint64_t pos, uint64_t len)
{
	struct savevm *v = arg;
	unsigned char *early;

	if (len > MAX_EARLY_BYTES - v->early_len)
		return NULL;
	early = realloc(v->early, v->early_len + (size_t)len + STREAM_FOOTER_SIZE);
	if (!early)
		return error_nomem();
	v->early = early;
	early += v->early_len;
	v->early_len += (size_t)len + STREAM_FOOTER_SIZE;
	/* the footer as well, if there is one */
	memset(early + len, 0, STREAM_FOOTER_SIZE);
	return bytes_read(v->in, pos, early,
			  (size_t)MIN(len + STREAM_FOOTER_SIZE, v->in->size - pos));
}

/* Read the RAM of the stream at @pos.  @page_size is used where the stream does not say it. */
static struct gdump_error *savevm_read_ram(struct savevm *v, uint64_t pos, uint32_t page_size)
{
	const struct migration_events events = {
		.blocks = savevm_on_blocks, .page = savevm_on_page, .device = savevm_on_device, .arg = v,
	};
	CLEANUP_FREE unsigned char *buf = malloc(READ_SIZE);
	struct migration *m = &v->m;
	struct gdump_error *err = buf ? migration_init(m, pos, &events) : error_nomem();

	m->page_size = page_size;
	while (!err && !m->ram_done) {
		size_t len;

		pos += migration_skip(m);
		len = (size_t)MIN(v->in->size - MIN(pos, v->in->size), (uint64_t)READ_SIZE);
		if (!len)
			return migration_end(m);
		err = bytes_read(v->in, pos, buf, len);
		if (!err)
			err = migration_feed(m, buf, len);
		pos += len;
	}
	return err;
}

/* Read @len bytes after the RAM, and find the description in them. */
static struct gdump_error *savevm_read_late(struct savevm *v, uint64_t pos, size_t len)
{
	struct gdump_error *err;

	free(v->late);
	v->late_len = len;
	v->late = malloc(len + 1);
	if (!v->late)
		return error_nomem();
	err = bytes_read(v->in, pos, v->late, len);
	return err ? err : devices_describe(&v->devices, v->late, len);
}

/* Read the devices, and find out whether the stream is there to its end. */
static struct gdump_error *savevm_read_devices(struct savevm *v)
{
	static const size_t sizes[] = { DEVICE_BYTES, MAX_DEVICE_BYTES };
	const uint64_t pos = migration_pos(&v->m), left = v->in->size - MIN(pos, v->in->size);
	struct gdump_error *err = NULL;
	size_t end;

	if (!v->m.ram_done)
		return NULL;
	for (size_t i = 0; !err && !v->devices.desc && i < ARRAY_SIZE(sizes); i++) {
		if (!i || left > sizes[i - 1])
			err = savevm_read_late(v, pos, (size_t)MIN(left, sizes[i]));
	}
	v->devices.ram_id = v->m.ram_id;
	if (!err)
		err = devices_parse(&v->devices, v->early, v->early_len, &end);
	if (!err)
		err = devices_parse(&v->devices, v->late, v->late_len, &end);
	if (!err)
		v->complete = !v->devices.has_ram &&
			      devices_are_complete(&v->devices, v->late, v->late_len, end);
	return err;
}

/* Read the stream, taking @page_size where it does not say it; the description must agree. */
static struct gdump_error *savevm_read_with(struct savevm *v, uint64_t pos, uint32_t page_size)
{
	struct gdump_error *err = savevm_read_ram(v, pos, page_size);

	if (!err)
		err = savevm_read_devices(v);
	if (!err && v->devices.page_size && v->devices.page_size != v->m.page_size)
		err = error_new(GDUMP_ERR_CORRUPT,
				"migration stream: the pages have %u bytes, but %u by the description of the devices",
				v->m.page_size, v->devices.page_size);
	return err;
}

/* Only the description at the end says the page size of most machines, so others than the usual
 * one are tried.  Then the description must confirm it.
 */
static struct gdump_error *savevm_read_stream(struct savevm *v, uint64_t pos)
{
	static const uint32_t others[] = { 16384, 8192, 1024, 65536 };
	CLEANUP_ERROR struct gdump_error *first = savevm_read_with(v, pos, 4096), *err = NULL;

	if (!first || gdump_error_code(first) != GDUMP_ERR_CORRUPT)
		return TAKE_PTR(first);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		savevm_drop_stream(v);
		gdump_error_destroy(err);
		err = savevm_read_with(v, pos, others[i]);
		if (!err && v->devices.page_size == others[i])
			return NULL;
	}
	return TAKE_PTR(first);
}

/* A shared memory backend's contents stay where they are, in its own file. */
static struct gdump_error *savevm_check_ignored(const struct savevm *v)
{
	for (size_t i = 0; v->m.ignore_shared && i < v->layout.num_ranges; i++) {
		const uint32_t block = v->layout.ranges[i].block;
		const uint64_t num = v->index.blocks[block].num_pages;
		uint64_t n = 0;

		while (n < num && (v->bitmaps[block] ? !savevm_bit(v, block, n)
						     : !page_index_at(&v->index, block, n)))
			n++;
		if (n == num)
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "memory block '%s' is not in the stream (x-ignore-shared): its contents are in the file of its memory backend",
					 v->m.blocks[block].name);
	}
	return NULL;
}

static struct gdump_error *savevm_add_memory(struct savevm *v)
{
	struct image *image = &v->source.image;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < v->layout.num_ranges; i++)
		err = image_add_range(image, v->layout.ranges[i].paddr,
				      v->layout.ranges[i].size, GDUMP_RANGE_RAM);
	return err;
}

static struct gdump_error *savevm_count_absent(struct savevm *v)
{
	struct image *image = &v->source.image;
	const uint32_t page_size = image->page_size;
	unsigned char state[512];
	struct gdump_error *err = NULL;

	for (size_t i = 0; image->incomplete && i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];
		const uint64_t end = div_up(r->start + r->size, page_size);

		for (uint64_t pfn = r->start / page_size; !err && pfn < end; pfn += sizeof(state)) {
			const size_t num = (size_t)MIN(end - pfn, sizeof(state));

			err = savevm_scan(&v->source, pfn, num, state, true);
			for (size_t k = 0; !err && k < num; k++)
				image->num_absent += state[k] == PAGE_ABSENT;
		}
	}
	return err;
}

/* Numbers in notes and VMCOREINFO have the kernel's byte order. */
static bool savevm_is_big(const struct savevm *v)
{
	const struct arch *arch = arch_by_machine(v->layout.machine);
	const struct device *cpu = devices_find(&v->devices, "cpu", 0);
	uint64_t msr = 0;

	if (arch->only_big || arch->only_little)
		return arch->only_big;
	/* POWER's MSR.LE */
	return cpu && device_number(cpu, "msr", &msr) && !(msr & 1);
}

static struct gdump_error *savevm_add_vmcoreinfo(struct savevm *v)
{
	const struct device *dev = devices_find(&v->devices, "vmcoreinfo", 0);
	uint64_t paddr = 0, has = 0;

	if (dev && device_number(dev, "has_vmcoreinfo", &has) && has)
		device_number(dev, "vmcoreinfo.paddr", &paddr);
	/* else gdump_open() looks for it, as with any other file */
	return paddr ? find_vmcoreinfo(&v->source, paddr) : NULL;
}

/* How many pages of RAM a complete stream never sent.  virtio-mem does not send what the guest
 * has not plugged, and mapped-ram does not send zeros.
 */
static uint64_t savevm_count_never(const struct savevm *v)
{
	uint64_t num = 0;

	for (size_t i = 0; i < v->layout.num_ranges; i++) {
		const struct block_range *r = &v->layout.ranges[i];
		const struct block_pages *b = &v->index.blocks[r->block];

		/* a block counts once: with its beginning */
		if (!r->off && !r->sparse && b->chunks)
			num += b->num_pages - b->num_sent;
	}
	return num;
}

/* What is missing or assumed; such a dump is incomplete. */
static void savevm_find_gaps(struct savevm *v, const struct savevm_spec *spec)
{
	struct image *image = &v->source.image;
	const uint64_t never = savevm_count_never(v);
	char *warning = image->warning;
	const size_t size = sizeof(image->warning);

	if (spec->warning)
		snprintf(warning, size, "%s", spec->warning);
	else if (!v->m.ram_done)
		snprintf(warning, size, "the file ends before all memory was saved: pages and registers are missing");
	else if (never)
		snprintf(warning, size, "%" PRIu64 " page%s of memory never came: the stream is damaged, or the guest reported free pages",
			 never, never == 1 ? "" : "s");
	else if (v->layout.warning[0])
		snprintf(warning, size, "%s", v->layout.warning);
	else if (!v->complete)
		snprintf(warning, size, "the file ends before all devices were saved, or is damaged there: registers are missing");
	image->incomplete = warning[0];
	if (!warning[0] && !image->num_cpus)
		snprintf(warning, size, "the registers of the CPUs are not in the file, or not understood");
}

static void savevm_describe_image(struct savevm *v, const struct savevm_spec *spec)
{
	struct image *image = &v->source.image;
	char again[64] = "";

	if (v->index.num_again)
		snprintf(again, sizeof(again), ", %" PRIu64 " page%s came again",
			 v->index.num_again, v->index.num_again == 1 ? "" : "s");
	snprintf(image->detail, sizeof(image->detail), "%s%s%.60s%s%s", spec->what,
		 v->m.machine[0] ? ", machine " : "", v->m.machine,
		 v->m.mapped_ram ? ", mapped-ram" : "", again);
}

static struct gdump_error *savevm_load(struct savevm *v, const struct savevm_spec *spec)
{
	struct image *image = &v->source.image;
	struct gdump_error *err = savevm_read_stream(v, spec->pos);

	if (!err)
		err = placement_make(&v->layout, &v->m, &v->devices, &spec->hints);
	if (!err)
		err = savevm_check_ignored(v);
	if (err)
		return err;
	image->machine = v->layout.machine;
	image->is64 = arch_by_machine(image->machine)->is64;
	image->big = savevm_is_big(v);
	err = savevm_add_memory(v);
	if (!err)
		err = cpu_notes_add(image, &v->devices);
	if (!err)
		err = image_seal(image);
	if (!err)
		savevm_find_gaps(v, spec);
	return err ? err : savevm_add_vmcoreinfo(v);
}

struct gdump_error *savevm_open_at(struct bytes *in, const struct savevm_spec *spec,
				   struct source **ret)
{
	struct savevm *v = calloc(1, sizeof(*v));
	CLEANUP_SOURCE struct source *guard = NULL;
	struct gdump_error *err;

	if (!v) {
		bytes_close(in);
		return error_nomem();
	}
	guard = &v->source;
	v->ops = savevm_source_ops;
	v->ops.name = spec->name;
	source_init(&v->source, &v->ops);
	v->in = in;
	err = savevm_load(v, spec);
	if (!err)
		err = savevm_count_absent(v);
	if (err)
		return err;
	savevm_describe_image(v, spec);
	savevm_drop_devices(v);
	guard = NULL;
	*ret = &v->source;
	return NULL;
}

static struct gdump_error *savevm_open(struct bytes *in, struct source **ret)
{
	const struct savevm_spec spec = { .name = "savevm", .what = "QEMU migration stream" };

	return savevm_open_at(in, &spec, ret);
}

const struct format format_savevm = {
	.name = "savevm",
	.summary = "a guest's state as QEMU saves or migrates it",
	.probe = savevm_probe,
	.open = savevm_open,
};

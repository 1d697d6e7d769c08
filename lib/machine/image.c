/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "image.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "../util/text.h"

enum {
	MAX_RANGES = 1 << 20,
	MAX_NOTES = 1 << 20,
	NOTE_HEADER = 12,
};

struct gdump_error *image_add_range(struct image *image, uint64_t start, uint64_t size,
				    uint32_t kind)
{
	if (!size)
		return NULL;
	if (start + (size - 1) < start)
		return error_new(GDUMP_ERR_CORRUPT,
				 "memory range at 0x%" PRIx64 " with 0x%" PRIx64
				 " bytes exceeds the address space", start, size);
	if (image->num_ranges == MAX_RANGES)
		return error_new(GDUMP_ERR_CORRUPT, "more than %d memory ranges", MAX_RANGES);
	if (!ARRAY_GROW(image->ranges, image->num_ranges))
		return error_nomem();
	image->ranges[image->num_ranges++] =
		(struct gdump_range){ .start = start, .size = size, .kind = kind };
	return NULL;
}

struct gdump_error *image_add_note(struct image *image, const char *name, uint32_t type,
				   const void *desc, size_t size)
{
	char *name_copy;
	void *desc_copy;

	if (image->num_notes == MAX_NOTES)
		return error_new(GDUMP_ERR_CORRUPT, "more than %d notes", MAX_NOTES);
	if (!ARRAY_GROW(image->notes, image->num_notes))
		return error_nomem();
	name_copy = strdup(name);
	desc_copy = calloc(1, size + 1);        /* a NUL ends text */
	if (!name_copy || !desc_copy) {
		free(name_copy);
		free(desc_copy);
		return error_nomem();
	}
	if (size)
		memcpy(desc_copy, desc, size);
	image->notes[image->num_notes++] = (struct gdump_note){
		.name = name_copy, .type = type, .cpu = -1, .desc = desc_copy, .size = size,
	};
	return NULL;
}

void image_remove_note(struct image *image, size_t i)
{
	struct gdump_note *note = &image->notes[i];

	free((char *)(uintptr_t)note->name);
	free((void *)(uintptr_t)note->desc);
	image->num_notes--;
	memmove(note, note + 1, (image->num_notes - i) * sizeof(*note));
}

bool image_renew_notes(struct image *image, const struct image *from)
{
	size_t num = 0;

	while (num < image->num_notes && image->notes[num].cpu >= 0)
		num++;
	if (!num || num > from->num_notes)
		return false;
	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *old = &image->notes[i], *new = &from->notes[i];

		if (i >= num && old->cpu >= 0)
			return false;
		if (i < num && (strcmp(old->name, new->name) || old->type != new->type ||
				old->size != new->size))
			return false;
	}
	for (size_t i = 0; i < num; i++)
		memcpy((void *)(uintptr_t)image->notes[i].desc, from->notes[i].desc,
		       from->notes[i].size);
	return true;
}

/* Parse the note at @c; false: it does not fit. */
static bool image_get_note(struct cursor *c, char *name, size_t name_size, struct gdump_note *ret)
{
	uint32_t namesz = get_u32(c), descsz = get_u32(c);
	size_t desc_len = descsz;
	const unsigned char *p;

	ret->type = get_u32(c);
	if (namesz >= name_size)
		return false;
	p = cursor_take(c, (size_t)round_up(namesz, 4));
	if (!p)
		return false;
	memcpy(name, p, namesz);
	name[namesz] = 0;
	text_clean(name);
	/* the last descriptor may lack its padding */
	p = cursor_take(c, (size_t)MIN(round_up((uint64_t)desc_len, 4),
				       MAX(cursor_left(c), desc_len)));
	ret->desc = p;
	ret->size = desc_len;
	return p != NULL;
}

struct gdump_error *image_parse_notes(struct image *image, const void *buf, size_t len,
				      size_t *understood)
{
	struct cursor c = cursor_init(buf, len, image->big, image->is64);
	struct gdump_error *err;
	struct gdump_note note;
	char name[64];

	*understood = 0;
	while (cursor_left(&c) >= NOTE_HEADER && image_get_note(&c, name, sizeof(name), &note)) {
		*understood = len - cursor_left(&c);
		if (!name[0] && !note.type && !note.size)
			continue;       /* padding between note areas */
		err = image_add_note(image, name, note.type, note.desc, note.size);
		if (err)
			return err;
	}
	return NULL;
}

static int range_compare(const void *a, const void *b)
{
	const struct gdump_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

void image_merge_ranges(struct image *image)
{
	struct gdump_range *r = image->ranges;
	size_t n = 0;

	if (image->num_ranges)
		qsort(r, image->num_ranges, sizeof(*r), range_compare);
	for (size_t i = 0; i < image->num_ranges; i++) {
		struct gdump_range cur = r[i];
		struct gdump_range *last = n ? &r[n - 1] : NULL;
		uint64_t last_byte = last ? range_last(last) : 0;

		if (last && cur.start <= last_byte) {
			uint64_t cut = last_byte - cur.start + 1;

			if (cut >= cur.size)
				continue;
			cur.start += cut;
			cur.size -= cut;
		}
		if (last && cur.start == last_byte + 1 && cur.kind == last->kind)
			last->size += cur.size;
		else
			r[n++] = cur;
	}
	image->num_ranges = n;
}

/* Assign the notes to CPUs: each CPU's notes begin with an NT_PRSTATUS, and QEMU's own notes
 * are in the same order.
 */
static void image_assign_notes(struct image *image)
{
	int32_t cpu = -1, qemu = 0;

	for (size_t i = 0; i < image->num_notes; i++) {
		struct gdump_note *n = &image->notes[i];

		if (!strcmp(n->name, "CORE") && n->type == NT_PRSTATUS)
			cpu++;
		if (!strcmp(n->name, "CORE") || !strcmp(n->name, "LINUX"))
			n->cpu = cpu;
		else if (!strcmp(n->name, "QEMU"))
			n->cpu = qemu++;
		/* in a dump of Windows this note holds the header of a Windows dump */
		if (!strcmp(n->name, "VMCOREINFO") && !image->vmcoreinfo &&
		    (n->size < 8 || memcmp(n->desc, "PAGEDU", 6))) {
			image->vmcoreinfo = n->desc;
			image->vmcoreinfo_size = strnlen(n->desc, n->size);
		}
	}
	image->num_cpus_with_notes = (size_t)MAX(cpu + 1, qemu);
	image->num_cpus = MAX((size_t)(cpu + 1), image->num_cpus);
}

/* Index the notes by CPU, because image_cpu_note() must not search the notes of thousands of
 * CPUs.  This is a counting sort: count the notes of each CPU, add the counts up to where
 * the notes of each CPU begin, and advance these positions to the ends while storing.
 */
static struct gdump_error *image_index_notes(struct image *image)
{
	uint32_t *end = calloc(image->num_cpus_with_notes + 1, sizeof(*end));
	uint32_t *index = calloc(image->num_notes + 1, sizeof(*index));

	free(image->cpu_notes_end);     /* of an earlier image_seal() */
	free(image->cpu_notes);
	image->cpu_notes_end = end;
	image->cpu_notes = index;
	if (!end || !index)
		return error_nomem();
	for (size_t i = 0; i < image->num_notes; i++) {
		if (image->notes[i].cpu >= 0)
			end[image->notes[i].cpu + 1]++;
	}
	for (size_t i = 0; i < image->num_cpus_with_notes; i++)
		end[i + 1] += end[i];
	for (size_t i = 0; i < image->num_notes; i++) {
		if (image->notes[i].cpu >= 0)
			index[end[image->notes[i].cpu]++] = (uint32_t)i;
	}
	return NULL;
}

struct gdump_error *image_number_notes(struct image *image)
{
	image_assign_notes(image);
	return image_index_notes(image);
}

const struct gdump_note *image_cpu_note(const struct image *image, size_t cpu, size_t i)
{
	uint32_t begin;

	if (cpu >= image->num_cpus_with_notes)
		return NULL;
	begin = cpu ? image->cpu_notes_end[cpu - 1] : 0;
	if (i >= image->cpu_notes_end[cpu] - begin)
		return NULL;
	return &image->notes[image->cpu_notes[begin + i]];
}

struct gdump_error *image_clip(struct image *image, uint64_t begin, uint64_t length)
{
	const uint64_t last = begin + MIN(length - 1, UINT64_MAX - begin);
	struct gdump_range *clipped = calloc(image->num_ranges + 1, sizeof(*clipped));
	size_t n = 0;

	if (!clipped)
		return error_nomem();
	for (size_t i = 0; i < image->num_ranges; i++) {
		struct gdump_range r = image->ranges[i];
		uint64_t r_last = MIN(range_last(&r), last);

		r.start = MAX(r.start, begin);
		if (r.start > r_last)
			continue;
		r.size = r_last - r.start + 1;
		clipped[n++] = r;
	}
	image->all_ranges = image->ranges;
	image->num_all_ranges = image->num_ranges;
	image->ranges = clipped;
	image->num_ranges = n;
	return NULL;
}

void image_deinit(struct image *image)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		free((char *)(uintptr_t)image->notes[i].name);
		free((void *)(uintptr_t)image->notes[i].desc);
	}
	free(image->notes);
	free(image->cpu_notes);
	free(image->cpu_notes_end);
	free(image->ranges);
	free(image->all_ranges);
	memset(image, 0, sizeof(*image));
}

uint64_t image_memory(const struct image *image)
{
	const struct gdump_range *ranges = image->all_ranges ? image->all_ranges : image->ranges;
	const size_t num = image->all_ranges ? image->num_all_ranges : image->num_ranges;
	uint64_t bytes = 0;

	for (size_t i = 0; i < num; i++)
		bytes += ranges[i].size;
	return bytes;
}

size_t image_range_from(const struct image *image, uint64_t paddr)
{
	return BISECT(image->num_ranges, i, range_last(&image->ranges[i]) >= paddr);
}

const struct gdump_range *image_range_at(const struct image *image, uint64_t paddr)
{
	const size_t i = image_range_from(image, paddr);

	return i < image->num_ranges && image->ranges[i].start <= paddr ? &image->ranges[i] : NULL;
}

bool image_touches(const struct image *image, uint64_t start, uint64_t size)
{
	const size_t i = image_range_from(image, start);
	const struct gdump_range *r;

	if (i == image->num_ranges || !size)
		return false;
	r = &image->ranges[i];
	return r->start <= start || r->start - start < size;
}

static size_t image_note_size(const struct gdump_note *n)
{
	return NOTE_HEADER + (size_t)round_up(strlen(n->name) + 1, 4) +
	       (size_t)round_up(n->size, 4);
}

size_t image_notes_size(const struct image *image)
{
	size_t size = 0;

	for (size_t i = 0; i < image->num_notes; i++)
		size += image_note_size(&image->notes[i]);
	return size;
}

const struct gdump_note *image_note(const struct image *image, const char *name)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		if (!strcmp(image->notes[i].name, name))
			return &image->notes[i];
	}
	return NULL;
}

size_t image_note_off(const struct image *image, const struct gdump_note *note)
{
	size_t off = 0;

	for (const struct gdump_note *n = image->notes; n < note; n++)
		off += image_note_size(n);
	return off + NOTE_HEADER + (size_t)round_up(strlen(note->name) + 1, 4);
}

void image_notes_put(const struct image *image, void *buf)
{
	struct cursor c = cursor_init(buf, image_notes_size(image), image->big, image->is64);

	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];
		size_t namesz = strlen(n->name) + 1;

		put_u32(&c, (uint32_t)namesz);
		put_u32(&c, (uint32_t)n->size);
		put_u32(&c, n->type);
		put_bytes(&c, n->name, namesz);
		put_zeros(&c, (size_t)round_up(namesz, 4) - namesz);
		put_bytes(&c, n->desc, n->size);
		put_zeros(&c, (size_t)round_up(n->size, 4) - n->size);
	}
}

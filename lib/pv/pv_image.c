/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pv_image.c - the image of a protected dump
 *
 * While it is locked, the image has what the host knew, without registers, and the CPUs'
 * encrypted areas.  With keys, the areas are decrypted to notes with registers.
 */
#include "pv_source.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/warn.h"

#include "cpu.h"

enum { MAX_WARNINGS = 16 };

/* Add the memory that has components.  Other ranges are not in the file, and the size that
 * it claims for them is not limited by anything.
 */
static struct gdump_error *pv_image_add_ranges(struct image *image, const struct image *from,
					       const struct pv_meta *meta)
{
	struct gdump_error *err = NULL;
	uint64_t absent = 0;

	for (size_t i = 0; !err && i < meta->num_loads; i++) {
		const struct pv_load *l = &meta->loads[i];
		const struct gdump_range *r = image_range_at(from, l->paddr);

		err = image_add_range(image, l->paddr, l->size, r ? r->kind : GDUMP_RANGE_RAM);
		absent += (l->size - l->there) / PV_PAGE;
	}
	image->num_absent = absent;
	return err;
}

/* Copy everything but the notes. */
static struct gdump_error *pv_image_copy_outline(struct image *image, const struct image *from,
						 const struct pv_meta *meta)
{
	struct gdump_error *err = NULL;

	image->machine = from->machine;
	image->is64 = from->is64;
	image->big = from->big;
	image->page_size = PV_PAGE;
	image->incomplete = from->incomplete;
	image->time = from->time;
	if (meta->num_loads)
		return pv_image_add_ranges(image, from, meta);
	for (size_t i = 0; !err && i < from->num_ranges; i++)
		err = image_add_range(image, from->ranges[i].start, from->ranges[i].size,
				      from->ranges[i].kind);
	return err;
}

static bool pv_note_is_area(const struct gdump_note *n)
{
	return n->type == NT_PV_CPU_DATA && !strcmp(n->name, "LINUX");
}

bool pv_has_cpus(const struct image *image)
{
	if (!arch_by_machine(image->machine)->pv_dumps)
		return false;
	for (size_t i = 0; i < image->num_notes; i++) {
		if (pv_note_is_area(&image->notes[i]))
			return true;
	}
	return false;
}

/* Whether a note is about a CPU; what the host knows about a protected CPU is useless. */
static bool pv_note_is_of_cpu(const struct gdump_note *n)
{
	return !strcmp(n->name, "LINUX") || !strcmp(n->name, "CORE");
}

/* Copy the notes that are not about CPUs, and while locked also the encrypted areas. */
static struct gdump_error *pv_image_copy_notes(struct image *image, const struct image *from,
					       bool locked)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < from->num_notes; i++) {
		const struct gdump_note *n = &from->notes[i];

		if (pv_note_is_area(n) && locked)
			image->num_cpus++;
		if (pv_note_is_area(n) ? locked : !pv_note_is_of_cpu(n))
			err = image_add_note(image, n->name, n->type, n->desc, n->size);
	}
	return err;
}

/* A CPU whose area cannot be opened is lost, and no other. */
static struct gdump_error *pv_image_lose_cpu(struct pv_source *p, struct image *image, size_t cpu,
					     struct gdump_error *err,
					     const struct gdump_open_options *opt)
{
	const enum gdump_code code = gdump_error_code(err);

	err = error_prefix(err, "CPU %zu", cpu);
	if (opt->strict || (code != GDUMP_ERR_CORRUPT && code != GDUMP_ERR_NODATA))
		return err;
	if (image->num_lost_cpus++ < MAX_WARNINGS)
		warn_caller(opt,
			    "%s; its registers are lost and shown as zero", gdump_error_message(err));
	if (p->lost)
		gdump_error_destroy(err);
	else
		p->lost = err;
	return NULL;
}

/* Add CPU @cpu with its area, NULL: it has none. */
static struct gdump_error *pv_image_add_cpu(struct pv_source *p, struct image *image, size_t cpu,
					    const struct gdump_note *note,
					    const struct gdump_open_options *opt)
{
	unsigned char plain[PV_CPU_SIZE];
	struct gdump_error *err;

	if (note)
		err = pv_cpu_open(p->crypto, p->keys, note, plain);
	else
		err = error_new(GDUMP_ERR_NODATA,
				"it has no area: the program that made the dump did not get it");
	if (!err) {
		if (pv_cpu_partial(plain))
			warn_caller(opt,
				    "CPU %zu stopped inside an instruction that the host was emulating: "
				    "its registers may be inconsistent",
				    cpu);
		return pv_cpu_add_notes(image, cpu, plain);
	}
	err = pv_image_lose_cpu(p, image, cpu, err, opt);
	return err ? err : pv_cpu_add_notes(image, cpu, NULL);
}

static const struct gdump_note *pv_image_find_area(const struct image *from, size_t cpu)
{
	const struct gdump_note *n;

	for (size_t i = 0; (n = image_cpu_note(from, cpu, i)); i++) {
		if (pv_note_is_area(n))
			return n;
	}
	return NULL;
}

static struct gdump_error *pv_image_add_cpus(struct pv_source *p, struct image *image,
					     const struct gdump_open_options *opt)
{
	const struct image *from = &p->inner->image;
	struct gdump_error *err = NULL;
	size_t cpu = 0;

	for (; !err && cpu < from->num_cpus_with_notes; cpu++)
		err = pv_image_add_cpu(p, image, cpu, pv_image_find_area(from, cpu), opt);
	/* without notes from the host there are only areas */
	for (size_t i = 0; !err && !from->num_cpus_with_notes && i < from->num_notes; i++) {
		if (pv_note_is_area(&from->notes[i]))
			err = pv_image_add_cpu(p, image, cpu++, &from->notes[i], opt);
	}
	if (!err && image->num_lost_cpus > MAX_WARNINGS)
		warn_caller(opt, "%zu CPUs are lost", image->num_lost_cpus);
	return err;
}

static void pv_image_describe(struct pv_source *p, struct image *image)
{
	const char *what = p->broken ? "cannot be decrypted" : p->keys ? "decrypted" : "encrypted";

	snprintf(image->detail, sizeof(image->detail), "%.60s, of a protected guest, %s",
		 p->inner->image.detail, what);
}

struct gdump_error *pv_make_image(struct pv_source *p, const struct gdump_open_options *opt,
				  struct image *image)
{
	const struct image *from = &p->inner->image;
	struct gdump_error *err = pv_image_copy_outline(image, from, &p->meta);

	image->decrypted = p->keys;
	if (!err && p->keys)
		err = pv_image_add_cpus(p, image, opt);
	if (!err)
		err = pv_image_copy_notes(image, from, !p->keys);
	if (!err)
		err = image_seal(image);
	pv_image_describe(p, image);
	return err;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * choose_vmcoreinfo.c - which of several kernels a dump is about
 *
 * The notes of a dump may describe two kernels: that before kexec and the one after it, one that
 * crashed and its crash kernel, that of a guest and that of a guest in it.  The evidence is the
 * same as for those found in memory, see find_vmcoreinfo.c.
 */
#include "choose_vmcoreinfo.h"

#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "../machine/vmcoreinfo.h"
#include "find_vmcoreinfo.h"

/* The VMCOREINFO notes: the best so far, and another with the same evidence */
struct vmcoreinfo_choice {
	const struct gdump_note *first, *best, *rival;
	enum vmcoreinfo_trust trust;
};

static bool vmcoreinfo_is_note(const struct gdump_note *n)
{
	/* in a dump of Windows this note holds the header of a Windows dump */
	return !strcmp(n->name, "VMCOREINFO") && (n->size < 8 || memcmp(n->desc, "PAGEDU", 6));
}

static struct vmcoreinfo_found vmcoreinfo_of_note(const struct gdump_note *n)
{
	return (struct vmcoreinfo_found){
		.text = (char *)(uintptr_t)n->desc, .size = strnlen(n->desc, n->size),
	};
}

static bool vmcoreinfo_same_note(const struct gdump_note *a, const struct gdump_note *b)
{
	const struct vmcoreinfo_found x = vmcoreinfo_of_note(a), y = vmcoreinfo_of_note(b);

	return x.size == y.size && !memcmp(x.text, y.text, x.size);
}

static void vmcoreinfo_consider(struct source *s, const struct gdump_note *n,
				struct vmcoreinfo_choice *c)
{
	const struct vmcoreinfo_found found = vmcoreinfo_of_note(n);
	enum vmcoreinfo_trust trust;

	if (!c->first)
		c->first = n;
	if (!vmcoreinfo_is_named(&found, s->kernel))
		return;
	trust = vmcoreinfo_rate(s, &found);
	if (c->best && (trust < c->trust || vmcoreinfo_same_note(n, c->best)))
		return;
	c->rival = c->best && trust == c->trust ? n : NULL;
	if (c->rival)
		return;
	c->best = n;
	c->trust = trust;
}

/* Make @best the note that counts, which is the first one. */
static struct gdump_error *vmcoreinfo_use_note(struct source *s, const struct vmcoreinfo_choice *c)
{
	struct image *image = &s->image;
	struct gdump_note *first = &image->notes[c->first - image->notes];
	struct gdump_note *best = &image->notes[c->best - image->notes];
	const struct gdump_note swap = *first;

	*first = *best;
	*best = swap;
	image->vmcoreinfo = NULL;
	image->release[0] = image->version[0] = image->nodename[0] = '\0';
	return image_seal(image);
}

static struct gdump_error *vmcoreinfo_choose_note(struct source *s)
{
	struct vmcoreinfo_choice c = { 0 };
	size_t num = 0;

	for (size_t i = 0; i < s->image.num_notes; i++)
		num += vmcoreinfo_is_note(&s->image.notes[i]);
	if (num < 2 && !s->kernel)
		return NULL;
	for (size_t i = 0; i < s->image.num_notes; i++) {
		if (vmcoreinfo_is_note(&s->image.notes[i]))
			vmcoreinfo_consider(s, &s->image.notes[i], &c);
	}
	if (c.rival) {
		const struct vmcoreinfo_found best = vmcoreinfo_of_note(c.best);
		const struct vmcoreinfo_found rival = vmcoreinfo_of_note(c.rival);

		vmcoreinfo_warn_of_two(s, &best, &rival, "the first one is used");
	}
	return c.best && c.best != c.first ? vmcoreinfo_use_note(s, &c) : NULL;
}

/* Whether the VMCOREINFO of the image is that of the wanted kernel */
static bool vmcoreinfo_is_chosen(const struct source *s)
{
	const struct vmcoreinfo_found found = {
		.text = (char *)(uintptr_t)s->image.vmcoreinfo, .size = s->image.vmcoreinfo_size,
	};

	return found.text && vmcoreinfo_is_named(&found, s->kernel);
}

/* It was found in memory and is the last note: of several, the first one counts. */
static struct gdump_error *vmcoreinfo_use_found(struct source *s)
{
	struct vmcoreinfo_choice c = { .best = &s->image.notes[s->image.num_notes - 1] };

	for (size_t i = 0; !c.first; i++) {
		if (vmcoreinfo_is_note(&s->image.notes[i]))
			c.first = &s->image.notes[i];
	}
	return c.first != c.best ? vmcoreinfo_use_note(s, &c) : NULL;
}

struct gdump_error *choose_vmcoreinfo(struct source *s, uint64_t hint)
{
	struct gdump_error *err = vmcoreinfo_choose_note(s);
	size_t num;

	if (err || vmcoreinfo_is_chosen(s))
		return err;
	num = s->image.num_notes;
	err = find_vmcoreinfo(s, hint);
	if (!err && s->image.num_notes > num)
		err = vmcoreinfo_use_found(s);
	if (err || !s->kernel || vmcoreinfo_is_chosen(s))
		return err;
	return error_new(GDUMP_ERR_USAGE,
			 "there is no VMCOREINFO of a kernel '%s'; guestdump info without --kernel shows which one is used",
			 s->kernel);
}

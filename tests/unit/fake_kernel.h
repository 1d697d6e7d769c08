/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * fake_kernel.h - for unit tests: memory from address 0 on, and a VMCOREINFO text
 */
#pragma once

#include <elf.h>
#include <stdlib.h>

#include "check.h"
#include "arch/arch.h"
#include "random.h"
#include "seed.h"
#include "machine/source.h"
#include "util/cursor.h"

struct fake {
	struct source source;
	size_t size;
	unsigned char *memory;
	bool is_kept;                   /* as a seed                            */
	size_t num_read;                /* bytes                                */
};

/* As tests/fuzz/kernel.c takes it: what is not zero, line by line.  When it is read for
 * the first time, all is there.
 */
static inline void fake_keep(const struct fake *f)
{
	const struct image *image = &f->source.image;
	const size_t max = f->size * 2 + 65536;
	unsigned char *buf;
	struct cursor c;

	if (!seed_wanted())
		return;
	buf = malloc(max);
	c = cursor_init(buf, max, false, true);
	put_u16(&c, image->machine);
	put_u16(&c, 0);
	put_u16(&c, (uint16_t)image->vmcoreinfo_size);
	put_bytes(&c, image->vmcoreinfo, image->vmcoreinfo_size);
	for (uint32_t line = 0; line < f->size; line += 16) {
		static const unsigned char zeros[16];

		if (!memcmp(f->memory + line, zeros, sizeof(zeros)))
			continue;
		put_u32(&c, line);
		put_u16(&c, sizeof(zeros));
		put_bytes(&c, f->memory + line, sizeof(zeros));
	}
	seed_keep("kernel", buf, (size_t)(c.p - buf));
	free(buf);
}

static inline struct gdump_error *fake_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct fake *f = (struct fake *)s;

	if (!f->is_kept)
		fake_keep(f);
	f->is_kept = true;
	memcpy(buf, f->memory + paddr, len);
	f->num_read += len;
	return NULL;
}

static inline void fake_close(struct source *s)
{
	free(((struct fake *)s)->memory);
	free(s);
}

/* Without VMCOREINFO, and its image not sealed yet */
static inline struct fake *fake_create_bare(uint16_t machine, size_t size)
{
	static const struct source_ops ops = { .name = "fake", .read = fake_read,
					       .close = fake_close };
	struct fake *f = calloc(1, sizeof(*f));

	f->size = size;
	f->memory = calloc(1, size);
	source_init(&f->source, &ops);
	f->source.image.machine = machine;
	f->source.image.is64 = true;
	CHECK_OK(image_add_range(&f->source.image, 0, size, GDUMP_RANGE_RAM));
	return f;
}

static inline struct fake *fake_create(uint16_t machine, size_t size, const char *info)
{
	struct fake *f = fake_create_bare(machine, size);

	CHECK_OK(image_add_note(&f->source.image, "VMCOREINFO", 0, info, strlen(info)));
	CHECK_OK(image_seal(&f->source.image));
	return f;
}

/* An integer of @n bytes, little-endian */
static inline void put(struct fake *f, uint64_t paddr, uint64_t v, unsigned int n)
{
	struct cursor c = cursor_init(f->memory + paddr, n, false, true);

	put_uint(&c, v, n);
}

/* Entry @i of the table at @table */
static inline void set(struct fake *f, uint64_t table, unsigned int i, uint64_t entry)
{
	put(f, table + 8 * i, entry, 8);
}

/* Change some bytes in [from, to), or with @text in VMCOREINFO, as a rule to a digit. */
static inline void fake_mutate(struct fake *f, uint64_t *seed, uint64_t from, uint64_t to, bool text)
{
	char *info = (char *)(uintptr_t)f->source.image.vmcoreinfo;

	for (uint64_t n = 1 + random_below(seed, 4); n; n--) {
		if (text)
			info[random_below(seed, f->source.image.vmcoreinfo_size)] =
				(char)('0' + random_below(seed, 10));
		else
			f->memory[from + random_below(seed, to - from)] =
				(unsigned char)random_next(seed);
	}
}

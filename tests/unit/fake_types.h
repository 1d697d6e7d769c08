/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * fake_types.h - for unit tests: BTF and kallsyms in the memory of a fake kernel
 */
#pragma once

#include "fake_kernel.h"

enum { BTF_INT = 1, BTF_PTR, BTF_ARRAY, BTF_STRUCT, BTF_UNION, BTF_TYPEDEF = 8, BTF_CONST = 10 };

struct types {
	unsigned char records[4096];
	size_t len;
	char strings[4096];
	size_t strings_len;
	uint32_t num;                   /* with those of the base               */
	size_t base_len;                /* of the base's strings                */
};

static inline void types_u32(struct types *t, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		t->records[t->len++] = (unsigned char)(v >> 8 * i);
}

static inline uint32_t types_string(struct types *t, const char *s)
{
	const size_t at = t->strings_len ? t->strings_len : 1;

	if (!*s)
		return 0;
	strcpy(t->strings + at, s);
	t->strings_len = at + strlen(s) + 1;
	return (uint32_t)(t->base_len + at);
}

/* A record; its number */
static inline uint32_t types_add(struct types *t, const char *name, uint32_t kind, uint32_t num,
				 uint32_t size)
{
	types_u32(t, types_string(t, name));
	types_u32(t, kind << 24 | num);
	types_u32(t, size);
	return ++t->num;
}

static inline uint32_t types_int(struct types *t, const char *name, uint32_t size)
{
	const uint32_t number = types_add(t, name, BTF_INT, 0, size);

	types_u32(t, 8 * size);
	return number;
}

static inline uint32_t types_array(struct types *t, uint32_t of, uint32_t num)
{
	const uint32_t number = types_add(t, "", BTF_ARRAY, 0, 0);

	types_u32(t, of);
	types_u32(t, of);
	types_u32(t, num);
	return number;
}

/* One of as many members as the struct before was said to have; @off in bytes */
static inline void types_member(struct types *t, const char *name, uint32_t type, uint32_t off)
{
	types_u32(t, types_string(t, name));
	types_u32(t, type);
	types_u32(t, 8 * off);
}

/* Put them at @paddr, and say how long all is. */
static inline uint64_t types_put(struct fake *f, uint64_t paddr, const struct types *t)
{
	put(f, paddr, 0xeb9f, 2);
	put(f, paddr + 2, 1, 1);
	put(f, paddr + 3, 0, 1);
	put(f, paddr + 4, 24, 4);
	put(f, paddr + 8, 0, 4);
	put(f, paddr + 12, t->len, 4);
	put(f, paddr + 16, t->len, 4);
	put(f, paddr + 20, t->strings_len, 4);
	memcpy(f->memory + paddr + 24, t->records, t->len);
	memcpy(f->memory + paddr + 24 + t->len, t->strings, t->strings_len);
	return 24 + t->len + t->strings_len;
}

/* kallsyms at fixed places: each byte is its own token, but for 1, which is "task". */
enum {
	SYMS_NUM = 0x10000, SYMS_TOKENS = 0x10100, SYMS_INDEX = 0x10800, SYMS_OFFSETS = 0x10a00,
	SYMS_BASE = 0x10ff0, SYMS_NAMES = 0x11000, SYMS_ADDRESSES = 0x13000,
};

#define SYMS_INFO \
	"SYMBOL(kallsyms_num_syms)=ffffffff80010000\nSYMBOL(kallsyms_names)=ffffffff80011000\n" \
	"SYMBOL(kallsyms_token_table)=ffffffff80010100\nSYMBOL(kallsyms_token_index)=ffffffff80010800\n" \
	"SYMBOL(_stext)=ffffffff80010000\n"

struct syms {
	struct fake *fake;
	uint64_t at, num;
	bool one_byte;
	/* what stands in the table of addresses for one */
	uint64_t (*encode)(uint64_t vaddr, uint64_t number);
	bool whole;                     /* it has 8 bytes                       */
};

static inline void syms_begin(struct syms *s, struct fake *f)
{
	uint64_t at = SYMS_TOKENS;

	*s = (struct syms){ .fake = f, .at = SYMS_NAMES };
	for (unsigned int i = 0; i < 256; i++) {
		put(f, SYMS_INDEX + 2 * i, at - SYMS_TOKENS, 2);
		if (i == 1) {
			memcpy(f->memory + at, "task", 5);
			at += 5;
		} else {
			f->memory[at] = (unsigned char)i;
			f->memory[at + 1] = 0;
			at += 2;
		}
	}
}

static inline void syms_add(struct syms *s, const char *name, uint64_t vaddr)
{
	const size_t len = strlen(name);
	struct fake *f = s->fake;

	if (len > 127 && !s->one_byte) {
		put(f, s->at++, 0x80 | (len & 0x7f), 1);
		put(f, s->at++, len >> 7, 1);
	} else {
		put(f, s->at++, len, 1);
	}
	memcpy(f->memory + s->at, name, len);
	s->at += len;
	if (s->whole)
		put(f, SYMS_ADDRESSES + 8 * s->num, s->encode(vaddr, s->num), 8);
	else
		put(f, SYMS_OFFSETS + 4 * s->num, s->encode(vaddr, s->num), 4);
	put(f, SYMS_NUM, ++s->num, 4);
}

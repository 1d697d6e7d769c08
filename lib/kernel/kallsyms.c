/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kallsyms.c - the symbols of the guest's kernel
 *
 * Theory of operation.  Names follow each other; each is a length and that many tokens,
 * bytes that stand for one of 256 pieces of text.  The first character of a name is its
 * type.  Addresses are in an array in the same order.  That array has had four forms, and
 * lengths two, and nothing says which ones a kernel uses.  So all are tried; the right ones
 * give _stext the address that VMCOREINFO has.
 *
 * Facts: Linux's kernel/kallsyms.c and scripts/kallsyms.c.
 */
#include "kallsyms.h"

#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "../machine/vmcoreinfo.h"

enum {
	NUM_TOKENS = 256,
	MAX_TOKEN = 512,
	MAX_NAME = 1024,                /* longer names are skipped             */
	MAX_SYMBOLS = 1 << 22,
	MAX_NAMES = 64 << 20,           /* bytes of all names                   */
	WINDOW = 4096,                  /* the smallest page size               */
};

enum kallsyms_form {
	FORM_PERCPU,                    /* x86 up to 6.14                       */
	FORM_BASE,                      /* other machines, up to 6.19           */
	FORM_PLACE,                     /* 7.0                                  */
	FORM_ABSOLUTE,                  /* whole addresses, up to 6.10          */
	NUM_FORMS,
};

struct kallsyms {
	struct walker *walker;
	const struct image *image;
	uint64_t num, names, offsets, base, addresses;
	bool has_offsets, has_base, has_addresses;
	uint16_t index[NUM_TOKENS];
	uint16_t token_len[NUM_TOKENS];
	char *tokens;                   /* ends with a NUL                      */
	size_t tokens_len;
	bool long_lengths;              /* bit 7 of a length announces a second byte: 6.1 */
	/* the part of the names that was read */
	unsigned char window[WINDOW];
	uint64_t at;
	size_t pos, len;
};

static struct gdump_error *kallsyms_unsupported(const char *what)
{
	return error_new(GDUMP_ERR_UNSUPPORTED, "kallsyms: %s", what);
}

static struct gdump_error *kallsyms_read_tokens(struct kallsyms *k, uint64_t table, uint64_t index)
{
	unsigned char buf[2 * NUM_TOKENS];
	struct cursor c = cursor_init(buf, sizeof(buf), k->image->big, k->image->is64);
	struct gdump_error *err = walker_read(k->walker, index, buf, sizeof(buf));
	size_t end = 0;

	if (err)
		return err;
	for (unsigned int i = 0; i < NUM_TOKENS; i++) {
		k->index[i] = get_u16(&c);
		end = MAX(end, k->index[i]);
	}
	k->tokens_len = end + MAX_TOKEN;
	k->tokens = calloc(1, k->tokens_len + 1);
	if (!k->tokens)
		return error_nomem();
	err = walker_read(k->walker, table, k->tokens, k->tokens_len);
	for (unsigned int i = 0; !err && i < NUM_TOKENS; i++)
		k->token_len[i] = (uint16_t)strnlen(k->tokens + k->index[i], MAX_TOKEN);
	return err;
}

/* Find the parts of the table by VMCOREINFO. */
static struct gdump_error *kallsyms_open(struct kallsyms *k)
{
	const unsigned int word = k->image->is64 ? 8 : 4;
	uint64_t num, table, index, base;
	struct gdump_error *err;

	if (!vmcoreinfo_symbol(k->image, "kallsyms_num_syms", &num) ||
	    !vmcoreinfo_symbol(k->image, "kallsyms_names", &k->names) ||
	    !vmcoreinfo_symbol(k->image, "kallsyms_token_table", &table) ||
	    !vmcoreinfo_symbol(k->image, "kallsyms_token_index", &index))
		return kallsyms_unsupported("VMCOREINFO lacks its address");
	k->has_offsets = vmcoreinfo_symbol(k->image, "kallsyms_offsets", &k->offsets);
	k->has_addresses = vmcoreinfo_symbol(k->image, "kallsyms_addresses", &k->addresses);
	k->has_base = vmcoreinfo_symbol(k->image, "kallsyms_relative_base", &base);
	err = walker_uint(k->walker, num, 4, &k->num);
	if (!err && k->num > MAX_SYMBOLS)
		err = kallsyms_unsupported("it claims too many symbols");
	if (!err && k->has_base)
		err = walker_uint(k->walker, base, word, &k->base);
	return err ? err : kallsyms_read_tokens(k, table, index);
}

static void kallsyms_rewind(struct kallsyms *k)
{
	k->at = k->names;
	k->pos = k->len = 0;
}

/* The next byte of the names; false: there is none. */
static bool kallsyms_next_byte(struct kallsyms *k, unsigned char *ret)
{
	struct gdump_error *err;

	if (k->pos == k->len) {
		k->at += k->len;
		k->pos = 0;
		/* only to the end of the page, because the next may not be mapped */
		k->len = (size_t)(WINDOW - k->at % WINDOW);
		err = k->at - k->names > MAX_NAMES ? kallsyms_unsupported("it has no end") :
		      walker_read(k->walker, k->at, k->window, k->len);
		if (err) {
			gdump_error_destroy(err);
			k->len = 0;
			return false;
		}
	}
	*ret = k->window[k->pos++];
	return true;
}

static bool kallsyms_next_length(struct kallsyms *k, unsigned int *ret)
{
	unsigned char low, high;

	if (!kallsyms_next_byte(k, &low))
		return false;
	*ret = low;
	if (!k->long_lengths || !(low & 0x80))
		return true;
	if (!kallsyms_next_byte(k, &high))
		return false;
	*ret = (low & 0x7fU) | (unsigned int)high << 7;
	return true;
}

/* The next name, without its type; false: the table breaks off.  *@len is 0 for a name that
 * is longer than MAX_NAME.
 */
static bool kallsyms_next_name(struct kallsyms *k, char name[MAX_NAME], size_t *len)
{
	unsigned int tokens;
	size_t n = 0;

	if (!kallsyms_next_length(k, &tokens))
		return false;
	while (tokens--) {
		unsigned char token;
		size_t more;

		if (!kallsyms_next_byte(k, &token))
			return false;
		more = k->token_len[token];
		if (n + more <= MAX_NAME)
			memcpy(name + n, k->tokens + k->index[token], more);
		n += more;
	}
	*len = n > 1 && n <= MAX_NAME ? n - 1 : 0;
	memmove(name, name + 1, *len);
	return true;
}

/* Read the names; false: there is no memory.  A byte of the table may stand for 256 of a name. */
static bool kallsyms_read_names(struct kallsyms *k, struct symtab *t)
{
	char name[MAX_NAME];
	size_t len;

	kallsyms_rewind(k);
	for (uint32_t i = 0; i < k->num && t->names_len < MAX_NAMES - MAX_NAME &&
			     kallsyms_next_name(k, name, &len); i++) {
		if (len && !symtab_add(t, 0, i, name, len))
			return false;
	}
	return true;
}

static bool kallsyms_has_form(const struct kallsyms *k, enum kallsyms_form form)
{
	switch (form) {
	case FORM_ABSOLUTE:
		return k->has_addresses;
	case FORM_PLACE:
		return k->has_offsets;
	default:
		return k->has_offsets && k->has_base;
	}
}

/* The address in @values[number], a word or the 4 bytes of an offset */
static uint64_t kallsyms_address(const struct kallsyms *k, enum kallsyms_form form, uint64_t value,
				 uint64_t number)
{
	const uint64_t off = (uint64_t)(int64_t)(int32_t)(uint32_t)value;
	const uint64_t mask = k->image->is64 ? UINT64_MAX : UINT32_MAX;

	switch (form) {
	case FORM_ABSOLUTE:
		return value;
	case FORM_PLACE:
		return (k->offsets + 4 * number + off) & mask;
	case FORM_BASE:
		return (k->base + value) & mask;
	default:
		return (off >> 63 ? k->base - 1 - off : value) & mask;
	}
}

/* The form that gives _stext its address; NUM_FORMS: none does. */
static enum kallsyms_form kallsyms_find_form(struct kallsyms *k, uint64_t number, uint64_t stext)
{
	for (enum kallsyms_form form = 0; form < NUM_FORMS; form++) {
		const unsigned int size = form == FORM_ABSOLUTE && k->image->is64 ? 8 : 4;
		const uint64_t table = form == FORM_ABSOLUTE ? k->addresses : k->offsets;
		CLEANUP_ERROR struct gdump_error *err = NULL;
		uint64_t value;

		if (!kallsyms_has_form(k, form))
			continue;
		err = walker_uint(k->walker, table + size * number, size, &value);
		if (!err && kallsyms_address(k, form, value, number) == stext)
			return form;
	}
	return NUM_FORMS;
}

/* Set the addresses, which are in an array in the order of the names. */
static struct gdump_error *kallsyms_read_addresses(struct kallsyms *k, enum kallsyms_form form,
						   struct symtab *t)
{
	const unsigned int size = form == FORM_ABSOLUTE && k->image->is64 ? 8 : 4;
	const uint64_t table = form == FORM_ABSOLUTE ? k->addresses : k->offsets;
	const size_t len = t->num ? (size_t)(t->entries[t->num - 1].number + 1) * size : 0;
	CLEANUP_FREE unsigned char *buf = NULL;
	struct gdump_error *err = walker_read_new(k->walker, table, len, &buf);
	uint64_t value = 0;
	struct cursor c;

	if (err)
		return err;
	c = cursor_init(buf, len, k->image->big, true);
	for (uint32_t i = 0, next = 0; i < t->num; i++) {
		struct symtab_entry *e = &t->entries[i];

		for (; next <= e->number; next++)
			value = get_uint(&c, size);
		e->vaddr = kallsyms_address(k, form, value, e->number);
	}
	return NULL;
}

static const struct symtab_entry *kallsyms_find_stext(const struct symtab *t)
{
	for (uint32_t i = 0; i < t->num; i++) {
		if (!strcmp(t->names + t->entries[i].name, "_stext"))
			return &t->entries[i];
	}
	return NULL;
}

static struct gdump_error *kallsyms_read_all(struct kallsyms *k, struct symtab *t)
{
	enum kallsyms_form form = NUM_FORMS;
	struct gdump_error *err = kallsyms_open(k);
	uint64_t stext;

	if (err)
		return err;
	if (!vmcoreinfo_symbol(k->image, "_stext", &stext))
		return kallsyms_unsupported("VMCOREINFO lacks SYMBOL(_stext)");
	for (int old = 0; old < 2 && form == NUM_FORMS; old++) {
		const struct symtab_entry *found;

		symtab_deinit(t);
		k->long_lengths = !old;
		if (!kallsyms_read_names(k, t))
			return error_nomem();
		found = kallsyms_find_stext(t);
		if (found)
			form = kallsyms_find_form(k, found->number, stext);
	}
	if (form == NUM_FORMS)
		return kallsyms_unsupported("no known form gives _stext its address");
	err = kallsyms_read_addresses(k, form, t);
	return err || symtab_finish(t) ? err : error_nomem();
}

struct gdump_error *kallsyms_read(struct walker *w, struct symtab *ret)
{
	struct kallsyms k = { .walker = w, .image = &w->source->image };
	struct gdump_error *err;

	*ret = (struct symtab){ 0 };
	err = kallsyms_read_all(&k, ret);
	free(k.tokens);
	if (err)
		symtab_deinit(ret);
	return err;
}

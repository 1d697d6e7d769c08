/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kallsyms.c - addresses of the guest kernel's own symbols
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
	return walker_read(k->walker, table, k->tokens, k->tokens_len);
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
		const char *text;
		unsigned char token;
		size_t more;

		if (!kallsyms_next_byte(k, &token))
			return false;
		text = k->tokens + k->index[token];
		more = strnlen(text, k->tokens_len - k->index[token]);
		if (n + more <= MAX_NAME)
			memcpy(name + n, text, more);
		n += MIN(more, MAX_NAME);
	}
	*len = n > 1 && n <= MAX_NAME ? n - 1 : 0;
	memmove(name, name + 1, *len);
	return true;
}

/* Find the numbers of the symbols; false: _stext is not in the table. */
static bool kallsyms_find_numbers(struct kallsyms *k, struct ksym *stext, struct ksym *syms,
				  size_t num)
{
	char name[MAX_NAME];
	size_t len;

	kallsyms_rewind(k);
	stext->seen = false;
	for (size_t s = 0; s < num; s++)
		syms[s].seen = false;
	for (uint64_t i = 0; i < k->num && kallsyms_next_name(k, name, &len); i++) {
		for (size_t s = 0; len && s <= num; s++) {
			struct ksym *sym = s < num ? &syms[s] : stext;

			/* the first of several symbols with that name */
			if (sym->seen || strncmp(sym->name, name, len) || sym->name[len])
				continue;
			sym->seen = true;
			sym->number = i;
		}
	}
	return stext->seen;
}

static struct gdump_error *kallsyms_address(struct kallsyms *k, enum kallsyms_form form,
					    uint64_t number, uint64_t *ret)
{
	const unsigned int word = k->image->is64 ? 8 : 4;
	const uint64_t at = k->offsets + 4 * number;
	struct gdump_error *err;
	uint64_t value;
	int32_t off;

	if (form == FORM_ABSOLUTE)
		return k->has_addresses
			       ? walker_uint(k->walker, k->addresses + word * number, word, ret)
			       : kallsyms_unsupported("it has no addresses");
	if (!k->has_offsets || (form != FORM_PLACE && !k->has_base))
		return kallsyms_unsupported("it has no addresses");
	err = walker_uint(k->walker, at, 4, &value);
	if (err)
		return err;
	off = (int32_t)(uint32_t)value;
	if (form == FORM_PLACE)
		*ret = at + (uint64_t)(int64_t)off;
	else if (form == FORM_BASE)
		*ret = k->base + value;
	else
		*ret = off >= 0 ? value : k->base - 1 - (uint64_t)(int64_t)off;
	if (word == 4)
		*ret &= UINT32_MAX;
	return NULL;
}

/* The form that gives @stext its address; NUM_FORMS: none does. */
static enum kallsyms_form kallsyms_find_form(struct kallsyms *k, const struct ksym *stext)
{
	for (enum kallsyms_form form = 0; form < NUM_FORMS; form++) {
		uint64_t vaddr = 0;
		CLEANUP_ERROR struct gdump_error *err =
			kallsyms_address(k, form, stext->number, &vaddr);

		if (!err && vaddr == stext->vaddr)
			return form;
	}
	return NUM_FORMS;
}

static struct gdump_error *kallsyms_find_all(struct kallsyms *k, struct ksym *syms, size_t num)
{
	struct ksym stext = { .name = "_stext" };
	enum kallsyms_form form = NUM_FORMS;
	struct gdump_error *err = kallsyms_open(k);

	if (err)
		return err;
	if (!vmcoreinfo_symbol(k->image, "_stext", &stext.vaddr))
		return kallsyms_unsupported("VMCOREINFO lacks SYMBOL(_stext)");
	for (int old = 0; old < 2 && form == NUM_FORMS; old++) {
		k->long_lengths = !old;
		if (kallsyms_find_numbers(k, &stext, syms, num))
			form = kallsyms_find_form(k, &stext);
	}
	if (form == NUM_FORMS)
		return kallsyms_unsupported("no known form gives _stext its address");
	for (size_t s = 0; !err && s < num; s++) {
		if (syms[s].seen)
			err = kallsyms_address(k, form, syms[s].number, &syms[s].vaddr);
	}
	return err;
}

struct gdump_error *kallsyms_find(struct walker *w, struct ksym *syms, size_t num)
{
	struct kallsyms k = { .walker = w, .image = &w->source->image };
	struct gdump_error *err = kallsyms_find_all(&k, syms, num);

	free(k.tokens);
	for (size_t s = 0; err && s < num; s++)
		syms[s].vaddr = 0;
	return err;
}

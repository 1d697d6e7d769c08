/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/domain.c - the memory in libvirt's XML of a domain
 *
 * The parser reads only tags and attributes, which is enough for XML that libvirt wrote, and
 * ignores everything else.  It searches for these elements:
 *
 *     <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
 *     <memory model='dimm'>
 *       <alias name='dimm0'/>
 *       <address type='dimm' slot='0' base='0x100000000'/>
 *     </memory>
 *
 * The memory backend of the device dimm0 is called memdimm0, and so is its block in the
 * stream.
 *
 * Facts: libvirt's docs/formatdomain.rst, src/qemu/qemu_alias.c.
 */
#include "domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"

struct tag {
	const char *name, *rest, *end;  /* rest: the attributes                 */
	size_t name_len;
	bool closes;                    /* </name>                              */
};

/* The memory device that is being read */
struct memory {
	bool open, has_base;
	uint64_t base;
	char model[16], alias[64], slot[16];
};

static bool tag_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Find the next tag at or after *@p, and move *@p past it; false: there is none.  The names of
 * comments and declarations match no element.
 */
static bool tag_next(const char **p, const char *end, struct tag *ret)
{
	const char *open = memchr(*p, '<', (size_t)(end - *p)), *close;

	if (!open)
		return false;
	close = memchr(open, '>', (size_t)(end - open));
	if (!close)
		return false;
	*p = close + 1;
	*ret = (struct tag){ .name = open + 1, .end = close };
	if (*ret->name == '/') {
		ret->closes = true;
		ret->name++;
	}
	while (ret->name + ret->name_len < close && !tag_is_space(ret->name[ret->name_len]) &&
	       ret->name[ret->name_len] != '/')
		ret->name_len++;
	ret->rest = ret->name + ret->name_len;
	return true;
}

static bool tag_is(const struct tag *t, const char *name)
{
	return t->name_len == strlen(name) && !memcmp(t->name, name, t->name_len);
}

/* Copy the value of attribute @name to @buf; false: the tag lacks it, or it is too long. */
static bool tag_attribute(const struct tag *t, const char *name, char *buf, size_t size)
{
	const size_t len = strlen(name);
	const char *p = t->rest;

	while (p < t->end) {
		const char *key, *value, *close;
		size_t n;

		while (p < t->end && tag_is_space(*p))
			p++;
		key = p;
		p = memchr(p, '=', (size_t)(t->end - p));
		if (!p || t->end - p < 2 || (p[1] != '\'' && p[1] != '"'))
			return false;
		value = p + 2;
		close = memchr(value, p[1], (size_t)(t->end - value));
		if (!close)
			return false;
		n = (size_t)(close - value);
		if ((size_t)(p - key) == len && !memcmp(key, name, len) && n < size) {
			memcpy(buf, value, n);
			buf[n] = 0;
			return true;
		}
		p = close + 1;
	}
	return false;
}

static void memory_take_tag(struct memory *m, const struct tag *t)
{
	char base[24], *end;

	if (tag_is(t, "alias"))
		tag_attribute(t, "name", m->alias, sizeof(m->alias));
	if (!tag_is(t, "address"))
		return;
	tag_attribute(t, "slot", m->slot, sizeof(m->slot));
	if (!tag_attribute(t, "base", base, sizeof(base)))
		return;
	m->base = strtoull(base, &end, 16);
	m->has_base = end > base && !*end;
}

/* XML in a file may lack aliases.  Then the name follows from the slot, by which libvirt numbers
 * DIMMs.
 */
static struct gdump_error *domain_add(struct domain *d, const struct memory *m)
{
	struct block_addr *p;

	if (!m->has_base || (!m->alias[0] && !m->slot[0]) ||
	    d->num_addrs == DOMAIN_MAX_ADDRS)
		return NULL;
	if (!ARRAY_GROW(d->addrs, d->num_addrs))
		return error_nomem();
	p = &d->addrs[d->num_addrs++];
	p->paddr = m->base;
	if (m->alias[0])
		snprintf(p->block, sizeof(p->block), "mem%s", m->alias);
	else
		snprintf(p->block, sizeof(p->block), "mem%s%s", m->model, m->slot);
	return NULL;
}

struct gdump_error *domain_parse(struct domain *d, const char *xml, size_t len)
{
	const char *p = xml, *end = xml + strnlen(xml, len);
	struct gdump_error *err = NULL;
	struct memory m = { 0 };
	struct tag t;

	while (!err && tag_next(&p, end, &t)) {
		if (m.open && t.closes && tag_is(&t, "memory")) {
			err = domain_add(d, &m);
			m.open = false;
		} else if (m.open) {
			memory_take_tag(&m, &t);
		} else if (!t.closes && tag_is(&t, "memory")) {
			m = (struct memory){ 0 };
			m.open = tag_attribute(&t, "model", m.model, sizeof(m.model));
		} else if (!t.closes && tag_is(&t, "type") && !d->machine[0]) {
			tag_attribute(&t, "machine", d->machine, sizeof(d->machine));
		}
	}
	return err;
}

void domain_deinit(struct domain *d)
{
	free(d->addrs);
	*d = (struct domain){ 0 };
}

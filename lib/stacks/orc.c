/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * orc.c - the tables by which an x86-64 kernel unwinds its stacks
 *
 * A table is two arrays: addresses, ascending, each relative to its own place, and entries,
 * each valid from its address up to the next one.  An entry is two offsets of 16 bits and 16
 * bits of fields: sp_reg, bp_reg, type and flags.  Linux 6.4 gave the type a third bit and
 * new values, 6.3 added a flag, and later the registers got new numbers.  BTF shows the
 * former; for the latter the table itself does, because nearly all entries use sp.
 *
 * Facts: Linux's arch/x86/include/asm/orc_types.h and kernel/unwind_orc.c.
 */
#include "orc.h"

#include <stdio.h>
#include <stdlib.h>

#include "../util/bisect.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../machine/vmcoreinfo.h"

enum { IP = 4, ENTRY = 6, MAX_ENTRIES = 1 << 23, MAX_MODULE_ENTRIES = 1 << 20, SAMPLE = 16 };

/* Meanings of the numbers of registers: old ones, and those seen in 7.2 */
static const enum orc_reg registers[2][16] = {
	{ ORC_REG_NONE, ORC_REG_PREV_SP, ORC_REG_DX, ORC_REG_DI, ORC_REG_BP, ORC_REG_SP,
	  ORC_REG_R10, ORC_REG_R13, ORC_REG_BP_INDIRECT, ORC_REG_SP_INDIRECT },
	{ ORC_REG_NONE, ORC_REG_UNKNOWN, ORC_REG_DX, ORC_REG_SP, ORC_REG_BP, ORC_REG_DI,
	  ORC_REG_R10, ORC_REG_R13, ORC_REG_PREV_SP, ORC_REG_SP_INDIRECT, ORC_REG_BP_INDIRECT },
};
enum { OLD_SP = 5, NEW_SP = 3 };

static void orc_table_deinit(struct orc_table *t)
{
	free(t->ips);
	free(t->entries);
	*t = (struct orc_table){ 0 };
}

/* A table that cannot be read is empty. */
static struct gdump_error *orc_read_table(struct kernel *k, uint64_t ips, uint64_t num,
					  uint64_t entries, struct orc_table *ret)
{
	struct orc_table t = { .vaddr = ips, .num = (size_t)num };
	struct gdump_error *err = walker_read_new(&k->walker, ips, num * IP, &t.ips);

	if (!err)
		err = walker_read_new(&k->walker, entries, num * ENTRY, &t.entries);
	if (err)
		orc_table_deinit(&t);
	*ret = t;
	return error_if_nomem(err);
}

static struct gdump_error *orc_read_kernel(struct kernel *k, struct orc *o)
{
	const uint64_t start = kernel_symbol(k, "__start_orc_unwind_ip");
	const uint64_t end = kernel_symbol(k, "__stop_orc_unwind_ip");
	const uint64_t entries = kernel_symbol(k, "__start_orc_unwind");

	if (!start || !entries || end <= start || (end - start) / IP > MAX_ENTRIES)
		return NULL;
	return orc_read_table(k, start, (end - start) / IP, entries, &o->kernel);
}

static struct gdump_error *orc_read_module(struct kernel *k, const struct module *m,
					   uint64_t *budget, struct orc_table *ret)
{
	uint64_t num, ips, entries;

	if (!kernel_member(k, m->vaddr, "module", "arch.num_orcs", &num) ||
	    !kernel_member(k, m->vaddr, "module", "arch.orc_unwind_ip", &ips) ||
	    !kernel_member(k, m->vaddr, "module", "arch.orc_unwind", &entries) || !num ||
	    num > *budget)
		return NULL;
	*budget -= num;
	return orc_read_table(k, ips, num, entries, ret);
}

static struct gdump_error *orc_read_modules(struct kernel *k, struct orc *o)
{
	const struct modules *m = &o->text->modules;
	struct gdump_error *err = NULL;
	uint64_t budget = MAX_MODULE_ENTRIES;

	o->modules = calloc(m->num + 1, sizeof(*o->modules));
	if (!o->modules)
		return error_nomem();
	o->num_modules = m->num;
	for (size_t i = 0; !err && i < m->num; i++)
		err = orc_read_module(k, &m->list[i], &budget, &o->modules[i]);
	return err;
}

static uint16_t orc_u16(const unsigned char *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

/* Which numbers registers have */
static bool orc_has_new_numbers(const struct orc_table *t)
{
	size_t num_old = 0, num_new = 0;

	for (size_t i = 0; i < t->num; i += SAMPLE) {
		const unsigned int sp_reg = t->entries[ENTRY * i + 4] & 15;

		num_old += sp_reg == OLD_SP;
		num_new += sp_reg == NEW_SP;
	}
	return num_new > num_old;
}

/* Since Linux 5.12 the offset of sp_indirect is added to what was read from the stack. */
static bool orc_adds_late(const struct image *image)
{
	unsigned int major, minor;
	char release[64];

	return !vmcoreinfo_string(image, "OSRELEASE", release, sizeof(release)) ||
	       sscanf(release, "%u.%u", &major, &minor) != 2 || major > 5 ||
	       (major == 5 && minor >= 12);
}

struct gdump_error *orc_read(struct kernel *k, const struct text *text, struct orc *ret)
{
	struct btf_field type, signal;
	struct gdump_error *err;

	*ret = (struct orc){ .text = text };
	if (!btf_field(&k->btf, "orc_entry", "type", &type) ||
	    btf_size(&k->btf, "orc_entry") != ENTRY)
		return NULL;
	ret->three_bits = type.bits == 3;
	ret->has_signal = btf_field(&k->btf, "orc_entry", "signal", &signal);
	ret->late_offset = orc_adds_late(&k->source->image);
	err = orc_read_kernel(k, ret);
	if (!err)
		err = orc_read_modules(k, ret);
	ret->new_numbers = orc_has_new_numbers(&ret->kernel);
	if (err)
		orc_deinit(ret);
	return err;
}

void orc_deinit(struct orc *o)
{
	for (size_t i = 0; i < o->num_modules; i++)
		orc_table_deinit(&o->modules[i]);
	orc_table_deinit(&o->kernel);
	free(o->modules);
	*o = (struct orc){ 0 };
}

/* The table for the code at @ip, or NULL */
static const struct orc_table *orc_table_of(const struct orc *o, uint64_t ip)
{
	const struct modules *m = &o->text->modules;
	const struct module *module;
	uint64_t end;

	if (text_in_image(o->text, ip, &end))
		return &o->kernel;
	module = o->num_modules ? modules_at(m, ip, &end) : NULL;
	return module ? &o->modules[module - m->list] : NULL;
}

static uint64_t orc_ip(const struct orc_table *t, size_t i)
{
	const unsigned char *p = t->ips + IP * i;
	const uint32_t off = (uint32_t)orc_u16(p) | (uint32_t)orc_u16(p + 2) << 16;

	return t->vaddr + IP * i + (uint64_t)(int64_t)(int32_t)off;
}

static enum orc_type orc_type_of(const struct orc *o, unsigned int fields, enum orc_reg sp_reg)
{
	static const enum orc_type with_three_bits[8] = {
		ORC_UNDEFINED, ORC_END, ORC_CALL, ORC_REGS, ORC_REGS_PARTIAL,
	};
	static const enum orc_type with_two_bits[4] = { ORC_CALL, ORC_REGS, ORC_REGS_PARTIAL };
	const unsigned int end = o->has_signal ? 11 : 10;

	if (o->three_bits)
		return with_three_bits[fields >> 8 & 7];
	if (sp_reg == ORC_REG_NONE)
		return fields >> end & 1 ? ORC_END : ORC_UNDEFINED;
	return with_two_bits[fields >> 8 & 3];
}

bool orc_find(const struct orc *o, uint64_t ip, struct orc_entry *ret)
{
	const struct orc_table *t = orc_table_of(o, ip);
	const size_t next = t ? BISECT(t->num, i, orc_ip(t, i) > ip) : 0;
	const unsigned char *p;
	unsigned int fields;

	if (!next)
		return false;
	p = t->entries + ENTRY * (next - 1);
	fields = orc_u16(p + 4);
	ret->sp_off = (int16_t)orc_u16(p);
	ret->bp_off = (int16_t)orc_u16(p + 2);
	ret->sp_reg = registers[o->new_numbers][fields & 15];
	ret->bp_reg = registers[o->new_numbers][fields >> 4 & 15];
	ret->type = orc_type_of(o, fields, ret->sp_reg);
	return true;
}

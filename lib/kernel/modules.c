/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * modules.c - the loaded modules of the guest's kernel, and their symbols
 *
 * The code of a module was one area up to Linux 6.3 (core_layout), and is in one of several
 * areas since (mem[]).  Its symbols are those of its ELF file, as far as the kernel kept them.
 *
 * Facts: Linux's include/linux/module.h and kernel/module/kallsyms.c.
 */
#include "modules.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "list_walk.h"

enum {
	MAX_MODULES = 10000,
	MAX_SYMBOLS = 64 << 20,         /* bytes, of all modules together       */
	LAST_STRING = 512,              /* no name is longer                    */
	MAX_TEXT = 1 << 30,
	MAX_TYPES = 64 << 20,           /* bytes                                */
};

/* An area of a module: member @area of struct module, with its members */
static bool module_read_text(struct kernel *k, struct module *m, const char *area,
			     const char *size_member, unsigned int text)
{
	char path[64];
	uint64_t start, size;

	snprintf(path, sizeof(path), "%s.base", area);
	if (!kernel_member(k, m->vaddr, "module", path, &start))
		return false;
	snprintf(path, sizeof(path), "%s.%s", area, size_member);
	if (!kernel_member(k, m->vaddr, "module", path, &size) || size > MAX_TEXT ||
	    start + size < start)
		return false;
	m->text[text].start = start;
	m->text[text].size = start ? size : 0;
	return true;
}

static bool module_read_texts(struct kernel *k, struct module *m)
{
	uint32_t text, init;
	char area[2][24];

	if (!btf_enumerator(&k->btf, "mod_mem_type", "MOD_TEXT", &text) ||
	    !btf_enumerator(&k->btf, "mod_mem_type", "MOD_INIT_TEXT", &init))
		return module_read_text(k, m, "core_layout", "text_size", 0) &&
		       module_read_text(k, m, "init_layout", "text_size", 1);
	snprintf(area[0], sizeof(area[0]), "mem[%u]", text);
	snprintf(area[1], sizeof(area[1]), "mem[%u]", init);
	return module_read_text(k, m, area[0], "size", 0) &&
	       module_read_text(k, m, area[1], "size", 1);
}

static bool module_has_text(const struct module *m, uint64_t vaddr, uint64_t *end)
{
	for (unsigned int i = 0; i < MODULE_TEXTS; i++) {
		if (vaddr - m->text[i].start < m->text[i].size) {
			*end = m->text[i].start + m->text[i].size;
			return true;
		}
	}
	return false;
}

/* The kernel does not print labels of the compiler. */
static bool module_prints(const char *name)
{
	static const char *const hidden[] = { "$", ".L", "L0", "__UNIQUE_ID" };

	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		if (!strncmp(name, hidden[i], strlen(hidden[i])))
			return false;
	}
	return *name;
}

/* Read @len bytes and what follows of a string, as far as it can be read. */
static struct gdump_error *module_read_strings(struct kernel *k, uint64_t vaddr, size_t len,
					       unsigned char **ret)
{
	CLEANUP_ERROR struct gdump_error *err = walker_read_new(&k->walker, vaddr, len + LAST_STRING, ret);

	return err ? walker_read_new(&k->walker, vaddr, len, ret) : NULL;
}

/* The symbol table of an ELF file, as the kernel has it */
struct module_symbols {
	uint64_t table, num, strings;
	size_t entry;                   /* bytes of one                         */
	unsigned char *entries;
	bool big, is64;
};

static Elf64_Sym module_symbol_at(const struct module_symbols *s, uint64_t i)
{
	struct cursor c = cursor_init(s->entries + i * s->entry, s->entry, s->big, s->is64);
	Elf64_Sym sym = { .st_name = get_u32(&c) };

	if (!s->is64) {
		sym.st_value = get_u32(&c);
		return sym;
	}
	get_u32(&c);    /* info, other, section */
	sym.st_value = get_u64(&c);
	return sym;
}

static bool module_find_symbols(struct kernel *k, const struct module *m, uint64_t *budget,
				struct module_symbols *s)
{
	uint64_t tables;

	s->big = k->source->image.big;
	s->is64 = k->source->image.is64;
	s->entry = s->is64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	if (!kernel_member(k, m->vaddr, "module", "kallsyms", &tables) ||
	    !kernel_member(k, tables, "mod_kallsyms", "symtab", &s->table) ||
	    !kernel_member(k, tables, "mod_kallsyms", "num_symtab", &s->num) ||
	    !kernel_member(k, tables, "mod_kallsyms", "strtab", &s->strings) ||
	    !s->num || s->num > *budget / s->entry)
		return false;
	*budget -= s->num * s->entry;
	return true;
}

/* Add a symbol to those of its kind; false: there is no memory. */
static bool module_add_symbol(struct module *m, const Elf64_Sym *sym, uint32_t number,
			      const char *name, uint64_t *budget)
{
	const size_t len = strnlen(name, LAST_STRING);
	uint64_t end;

	if (!sym->st_value || !module_prints(name) || len == LAST_STRING || len >= *budget)
		return true;
	*budget -= len + 1;
	return symtab_add(module_has_text(m, sym->st_value, &end) ? &m->symbols : &m->variables,
			  sym->st_value, number, name, len);
}

static struct gdump_error *module_add_symbols(struct kernel *k, struct module *m, uint64_t *budget,
					      const struct module_symbols *s)
{
	CLEANUP_FREE unsigned char *strings = NULL;
	struct gdump_error *err;
	uint32_t last = 0;

	for (uint64_t i = 0; i < s->num; i++)
		last = MAX(last, module_symbol_at(s, i).st_name);
	if (last >= *budget)
		return NULL;
	*budget -= last;
	err = module_read_strings(k, s->strings, (size_t)last + 1, &strings);
	for (uint64_t i = 0; !err && i < s->num; i++) {
		const Elf64_Sym sym = module_symbol_at(s, i);

		if (!module_add_symbol(m, &sym, (uint32_t)i, (char *)strings + sym.st_name, budget))
			err = error_nomem();
	}
	if (err)
		return err;
	return symtab_finish(&m->symbols) && symtab_finish(&m->variables) ? NULL : error_nomem();
}

static struct gdump_error *module_read_symbols(struct kernel *k, struct module *m, uint64_t *budget)
{
	struct module_symbols s = { 0 };
	struct gdump_error *err;

	if (!module_find_symbols(k, m, budget, &s))
		return NULL;
	err = walker_read_new(&k->walker, s.table, s.num * s.entry, &s.entries);
	if (!err)
		err = module_add_symbols(k, m, budget, &s);
	free(s.entries);
	return error_if_nomem(err);
}

static bool module_read(struct kernel *k, struct module *m)
{
	struct btf_field name;
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!btf_field(&k->btf, "module", "name", &name) || !module_read_texts(k, m))
		return false;
	err = walker_read(&k->walker, m->vaddr + name.off, m->name,
			  MIN(name.size, sizeof(m->name) - 1));
	return !err;
}

/* The list of modules begins at @head. */
static struct gdump_error *modules_walk(struct kernel *k, uint64_t head, uint32_t list_off,
					struct modules *ret)
{
	struct list_walk walk = list_walk_begin(k, head, MAX_MODULES);
	struct gdump_error *err = NULL;
	uint64_t node;

	while (!err && list_walk_next(&walk, &node)) {
		struct module m = { .vaddr = node - list_off };

		if (!module_read(k, &m)) {
			ret->incomplete = true;
			continue;
		}
		if (!ARRAY_GROW(ret->list, ret->num))
			return error_nomem();
		ret->list[ret->num++] = m;
		err = module_read_symbols(k, &ret->list[ret->num - 1], &ret->budget);
	}
	ret->incomplete |= walk.broken;
	return err;
}

struct gdump_error *modules_read(struct kernel *k, struct modules *ret)
{
	const uint64_t head = kernel_symbol(k, "modules");
	struct gdump_error *err;
	struct btf_field list;

	*ret = (struct modules){ .incomplete = true };
	if (!head || !btf_field(&k->btf, "module", "list", &list))
		return NULL;
	ret->incomplete = false;
	ret->budget = MAX_SYMBOLS;
	err = modules_walk(k, head, list.off, ret);
	if (err)
		modules_deinit(ret);
	return err;
}

void modules_deinit(struct modules *m)
{
	for (size_t i = 0; i < m->num; i++) {
		symtab_deinit(&m->list[i].symbols);
		symtab_deinit(&m->list[i].variables);
	}
	free(m->list);
	*m = (struct modules){ 0 };
}

const struct module *modules_at(const struct modules *m, uint64_t vaddr, uint64_t *end)
{
	for (size_t i = 0; i < m->num; i++) {
		if (module_has_text(&m->list[i], vaddr, end))
			return &m->list[i];
	}
	return NULL;
}

const struct module *modules_variable_at(const struct modules *m, uint64_t vaddr, const char **name)
{
	for (size_t i = 0; i < m->num; i++) {
		struct symbol s;

		if (!symtab_at(&m->list[i].variables, vaddr, UINT64_MAX, &s) || s.vaddr != vaddr)
			continue;
		*name = s.name;
		return &m->list[i];
	}
	return NULL;
}

bool module_read_types(struct kernel *k, const struct module *m, struct btf *ret)
{
	const bool big = k->source->image.big;
	CLEANUP_ERROR struct gdump_error *err = NULL;
	CLEANUP_FREE void *data = NULL;
	uint64_t vaddr, len;

	if (!kernel_member(k, m->vaddr, "module", "btf_data", &vaddr) || !vaddr ||
	    !kernel_member(k, m->vaddr, "module", "btf_data_size", &len) || !len || len > MAX_TYPES)
		return false;
	data = malloc((size_t)len);
	if (!data)
		return false;
	err = walker_read(&k->walker, vaddr, data, (size_t)len);
	if (!err)
		err = btf_take(TAKE_PTR(data), (size_t)len, big, k->source->image.is64, &k->btf, ret);
	return !err;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * vmm.c - the programs that run guests, and what their command lines say
 *
 * Facts: qemu-system(1); "firecracker --help"; "cloud-hypervisor --help"; "crosvm run --help";
 * kvmtool's builtin-run.c.
 */
#include "vmm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

#define MIB ((uint64_t)1 << 20)

/* Where a fact is on a command line: the value of an option, or the item @key of it */
struct vmm_option {
	const char *names[2];           /* without dashes                       */
	const char *key;                /* the first item need not have it      */
};

struct vmm {
	const char *program;            /* the name of its file begins with it  */
	bool whole;                     /* it is the whole name                 */
	enum gdump_guest_kind kind;
	uint64_t unit;                  /* of a memory size without a suffix    */
	struct vmm_option name, memory, cpus;
};

static const struct vmm vmms[] = {
	{ "qemu-system-", false, GDUMP_GUEST_QEMU, MIB,
	  { { "name" }, "guest" }, { { "m" }, "size" }, { { "smp" }, "cpus" } },
	{ "qemu-kvm", true, GDUMP_GUEST_QEMU, MIB,
	  { { "name" }, "guest" }, { { "m" }, "size" }, { { "smp" }, "cpus" } },
	{ "kvm", true, GDUMP_GUEST_QEMU, MIB,
	  { { "name" }, "guest" }, { { "m" }, "size" }, { { "smp" }, "cpus" } },
	{ "firecracker", false, GDUMP_GUEST_FIRECRACKER, MIB,
	  { { "id" }, "" }, { { 0 }, 0 }, { { 0 }, 0 } },
	{ "cloud-hypervisor", false, GDUMP_GUEST_CLOUD_HYPERVISOR, 1,
	  { { 0 }, 0 }, { { "memory" }, "size" }, { { "cpus" }, "boot" } },
	{ "crosvm", false, GDUMP_GUEST_CROSVM, MIB,
	  { { "name" }, "" }, { { "m", "mem" }, "size" }, { { "c", "cpus" }, "num-cores" } },
	{ "lkvm", false, GDUMP_GUEST_KVMTOOL, MIB,
	  { { "n", "name" }, "" }, { { "m", "mem" }, "" }, { { "c", "cpus" }, "" } },
};

/* Copy the item at @at to @buf, with single commas; returns what is after it, or NULL. */
static const char *vmm_next_item(const char *at, char *buf, size_t size)
{
	size_t len = 0;

	for (; *at && (*at != ',' || at[1] == ','); at++) {
		at += *at == ',';
		if (len + 1 < size)
			buf[len++] = *at;
	}
	buf[len] = '\0';
	return *at ? at + 1 : NULL;
}

bool vmm_item(const char *text, const char *key, const char *first, char *buf, size_t size)
{
	const size_t len = strlen(key);
	char item[300];

	for (const char *at = text, *next; at; at = next, first = NULL) {
		next = vmm_next_item(at, item, sizeof(item));
		if (!strncmp(item, key, len) && item[len] == '=')
			return (size_t)snprintf(buf, size, "%s", item + len + 1) < size;
		if (first && !strcmp(first, key) && !strchr(item, '='))
			return (size_t)snprintf(buf, size, "%s", item) < size;
	}
	return false;
}

/* The value that @word, which is followed by @next (or NULL), gives to the option, or NULL */
static const char *vmm_option_value(const struct vmm_option *o, const char *word, const char *next)
{
	const char *name = word + strspn(word, "-");
	const size_t len = strcspn(name, "=");

	if (name == word)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(o->names) && o->names[i]; i++) {
		if (strlen(o->names[i]) == len && !strncmp(name, o->names[i], len))
			return name[len] ? name + len + 1 : next;
	}
	return NULL;
}

/* The last value of the option on the command line, or NULL */
static const char *vmm_value(const struct host_process *p, const struct vmm_option *o)
{
	const char *ret = NULL, *value;

	for (size_t i = 1; i < p->num_words; i++) {
		value = vmm_option_value(o, p->words[i], p->words[i + 1]);
		ret = value ? value : ret;
	}
	return ret;
}

static bool vmm_take(const struct host_process *p, const struct vmm_option *o, char *buf,
		     size_t size)
{
	const char *value = vmm_value(p, o);

	if (!value)
		return false;
	if (*o->key)
		return vmm_item(value, o->key, o->key, buf, size);
	return (size_t)snprintf(buf, size, "%s", value) < size;
}

/* "512", "2G" and "524288k" in bytes; 0: it is no such size. */
static uint64_t vmm_size(const char *text, uint64_t unit)
{
	static const char suffixes[] = "bkmgtpe";
	char *end;
	const unsigned long long n = strtoull(text, &end, 10);
	const char *suffix = *end ? strchr(suffixes, *end | 0x20) : NULL;
	const uint64_t factor = suffix ? (uint64_t)1 << 10 * (suffix - suffixes) : unit;

	if ((*end && !suffix) || n > UINT64_MAX / factor)
		return 0;
	return n * factor;
}

/* How many CPUs "sockets=2,cores=4,threads=2" are, without "cpus" */
static uint32_t vmm_topology(const char *smp)
{
	static const char *const keys[] = { "sockets", "dies", "clusters", "cores", "threads" };
	unsigned long n = 1, each;
	char text[24];

	for (size_t i = 0; smp && i < ARRAY_SIZE(keys); i++) {
		each = vmm_item(smp, keys[i], NULL, text, sizeof(text)) ? strtoul(text, NULL, 10) : 1;
		n *= each && each < 1024 ? each : 1;
	}
	return n < 1 << 20 ? (uint32_t)n : 0;
}

static void vmm_read_words(const struct vmm *vmm, const struct host_process *p, struct vmm_facts *f)
{
	const struct vmm_option uuid = { { "uuid" }, "" };
	char text[64];

	if (vmm->name.key && !vmm_take(p, &vmm->name, f->name, sizeof(f->name)))
		f->name[0] = '\0';
	if (vmm->memory.key && vmm_take(p, &vmm->memory, text, sizeof(text)))
		f->memory = vmm_size(text, vmm->unit);
	if (vmm->cpus.key && vmm_take(p, &vmm->cpus, text, sizeof(text)))
		f->cpus = (uint32_t)strtoul(text, NULL, 10);
	if (vmm->kind != GDUMP_GUEST_QEMU)
		return;
	if (!f->cpus)
		f->cpus = vmm_topology(vmm_value(p, &vmm->cpus));
	if (!vmm_value(p, &vmm->memory))
		f->memory = 128 * MIB;
	if (!vmm_take(p, &uuid, f->uuid, sizeof(f->uuid)))
		f->uuid[0] = '\0';
	vmm_find_monitors(p, f);
}

/* Words that make QEMU print something and exit */
static bool vmm_only_prints(const struct host_process *p)
{
	static const char *const words[] = { "version", "help", "h", "?", "M?" };

	for (size_t i = 1; i < p->num_words; i++) {
		const char *name = p->words[i] + strspn(p->words[i], "-");

		for (size_t k = 0; name > p->words[i] && k < ARRAY_SIZE(words); k++) {
			if (!strcmp(name, words[k]))
				return true;
		}
		if (!strcmp(p->words[i], "help") || !strcmp(p->words[i], "?"))
			return true;
	}
	return false;
}

static const struct vmm *vmm_of(const char *program)
{
	for (size_t i = 0; i < ARRAY_SIZE(vmms); i++) {
		const char *name = vmms[i].program;

		if (vmms[i].whole ? !strcmp(program, name) : !strncmp(program, name, strlen(name)))
			return &vmms[i];
	}
	return NULL;
}

bool vmm_recognize(const struct host_process *p, struct vmm_facts *ret)
{
	const struct vmm *vmm = p->num_words ? vmm_of(p->program) : NULL;

	*ret = (struct vmm_facts){ .kind = GDUMP_GUEST_OTHER };
	if (vmm && vmm->kind == GDUMP_GUEST_QEMU ? vmm_only_prints(p) : !p->kvm && (!vmm || p->fds_known))
		return false;
	if (vmm) {
		ret->kind = vmm->kind;
		vmm_read_words(vmm, p, ret);
	}
	if (p->num_vcpus)
		ret->cpus = p->num_vcpus;
	return true;
}

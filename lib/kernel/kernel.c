/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "kernel.h"

#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "kallsyms.h"
#include "../machine/vmcoreinfo.h"

enum {
	SCAN_SIZE = 256 << 20,          /* no kernel image is larger            */
	SCAN_PIECE = 256 << 10,
	SCAN_OVERLAP = 64,
	SCAN_STEP = 4096,               /* no page is smaller                   */
	STRING_PIECE = 4096,
	MAX_CPUS = 1 << 13,
	MAX_TRIES = 32,                 /* to read what looks like BTF          */
};

uint64_t kernel_get(const struct kernel *k, const unsigned char *p, uint32_t size)
{
	struct cursor c = cursor_init(p, size, k->source->image.big, k->source->image.is64);

	return get_uint(&c, size);
}

bool kernel_uint(struct kernel *k, uint64_t vaddr, uint32_t size, uint64_t *ret)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!size || size > 8)
		return false;
	err = walker_uint(&k->walker, vaddr, size, ret);
	return !err;
}

bool kernel_word(struct kernel *k, uint64_t vaddr, uint64_t *ret)
{
	return kernel_uint(k, vaddr, k->source->image.is64 ? 8 : 4, ret);
}

bool kernel_member(struct kernel *k, uint64_t vaddr, const char *name, const char *member,
		   uint64_t *ret)
{
	struct btf_field field;

	return btf_field(&k->btf, name, member, &field) &&
	       kernel_uint(k, vaddr + field.off, field.size, ret);
}

bool kernel_string(struct kernel *k, uint64_t vaddr, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = 0;
	while (len < size - 1) {
		/* the next page may not be there */
		const size_t n = MIN(size - 1 - len, STRING_PIECE - (vaddr + len) % STRING_PIECE);
		CLEANUP_ERROR struct gdump_error *err = walker_read(&k->walker, vaddr + len, ret + len, n);

		if (err) {
			ret[0] = 0;
			return false;
		}
		ret[len + n] = 0;
		if (strlen(ret) < len + n)
			return true;
		len += n;
	}
	return true;
}

uint64_t kernel_symbol(const struct kernel *k, const char *name)
{
	uint64_t vaddr;

	return symtab_find(&k->symbols, name, &vaddr) ? vaddr : 0;
}

bool kernel_percpu(struct kernel *k, const char *symbol, unsigned int cpu, uint64_t *ret)
{
	const unsigned int word = k->source->image.is64 ? 8 : 4;
	const uint64_t var = kernel_symbol(k, symbol), offs = kernel_symbol(k, "__per_cpu_offset");
	uint64_t off;

	if (!var || !offs || cpu >= MAX_CPUS || !kernel_word(k, offs + word * (uint64_t)cpu, &off))
		return false;
	*ret = var + off;
	return true;
}

unsigned int kernel_max_cpus(struct kernel *k)
{
	const uint64_t vaddr = kernel_symbol(k, "nr_cpu_ids");
	uint64_t num;

	return vaddr && kernel_uint(k, vaddr, 4, &num) && num <= MAX_CPUS ? (unsigned int)num : 0;
}

/* Whether the bit of a CPU is set in a mask of CPUs. */
static bool kernel_cpu_in(struct kernel *k, const char *mask, unsigned int cpu)
{
	const unsigned int bits = k->source->image.is64 ? 64 : 32;
	const uint64_t vaddr = kernel_symbol(k, mask);
	uint64_t word;

	return vaddr && kernel_word(k, vaddr + bits / 8 * (uint64_t)(cpu / bits), &word) &&
	       word >> cpu % bits & 1;
}

bool kernel_panic_cpu(struct kernel *k, int32_t *ret)
{
	const uint64_t vaddr = kernel_symbol(k, "panic_cpu");
	uint64_t cpu;

	if (!vaddr || !kernel_uint(k, vaddr, 4, &cpu) || cpu > INT32_MAX)
		return false;
	*ret = (int32_t)cpu;
	return true;
}

bool kernel_uses_cpu(struct kernel *k, unsigned int cpu)
{
	int32_t panicked;

	return cpu < MAX_CPUS && (kernel_cpu_in(k, "__cpu_online_mask", cpu) ||
				  (kernel_cpu_in(k, "__cpu_present_mask", cpu) &&
				   kernel_panic_cpu(k, &panicked)));
}

void kernel_scan(struct kernel *k, kernel_scan_fn *fn, void *arg)
{
	CLEANUP_FREE unsigned char *buf = malloc(SCAN_PIECE);
	uint64_t start, paddr, mapped;

	if (!buf || !vmcoreinfo_symbol(&k->source->image, "_stext", &start))
		return;
	start = round_down(start, SCAN_STEP);
	for (uint64_t off = 0, n; off < SCAN_SIZE; off += n) {
		CLEANUP_ERROR struct gdump_error *err = NULL;
		uint64_t len;

		n = SCAN_STEP;
		if (!walker_translate(&k->walker, start + off, &paddr, &mapped))
			continue;
		/* a piece that is mapped as one, plus an overlap, so that nothing is cut in two */
		len = MIN(mapped, SCAN_PIECE - SCAN_OVERLAP);
		err = walker_read(&k->walker, start + off, buf, (size_t)len + SCAN_OVERLAP);
		if (err) {
			gdump_error_destroy(err);
			err = walker_read(&k->walker, start + off, buf, (size_t)len);
		} else {
			len += SCAN_OVERLAP;
		}
		if (err)
			continue;
		n = MIN(mapped, SCAN_PIECE - SCAN_OVERLAP);
		if (fn(k, arg, start + off, buf, (size_t)len))
			return;
	}
}

/* BTF without a struct task_struct is not the kernel's, but that of a module, for example. */
static bool kernel_read_types(struct kernel *k, uint64_t vaddr, uint64_t len)
{
	CLEANUP_ERROR struct gdump_error *err = btf_read(&k->walker, vaddr, len, &k->btf);

	if (err)
		return false;
	if (btf_size(&k->btf, "task_struct"))
		return true;
	btf_deinit(&k->btf);
	return false;
}

static bool kernel_look_for_types(struct kernel *k, void *arg, uint64_t vaddr,
				  const unsigned char *p, size_t len)
{
	const bool big = k->source->image.big;
	unsigned int *tries = arg;

	for (size_t i = 0; i < len; i += 4) {
		uint64_t n = p[i] == (big ? 0xeb : 0x9f) ? btf_length(p + i, len - i, big) : 0;

		if (!n)
			continue;
		if (!*tries || kernel_read_types(k, vaddr + i, n))
			return true;
		--*tries;
	}
	return false;
}

static void kernel_find_types(struct kernel *k)
{
	const uint64_t start = kernel_symbol(k, "__start_BTF");
	const uint64_t end = kernel_symbol(k, "__stop_BTF");
	unsigned int tries = MAX_TRIES;

	if (!start || !end || !kernel_read_types(k, start, end - start))
		kernel_scan(k, kernel_look_for_types, &tries);
}

static void kernel_find_symbols(struct kernel *k)
{
	CLEANUP_ERROR struct gdump_error *err = kallsyms_read(&k->walker, &k->symbols);

	if (err)
		debug_log(&k->source->debug, GDUMP_DEBUG_STEP,
			  "the kernel's symbols cannot be read: %s", gdump_error_message(err));
}

struct gdump_error *kernel_open(struct source *s, struct kernel *ret)
{
	struct gdump_error *err;

	*ret = (struct kernel){ .source = s };
	err = paging_of_kernel(s, &ret->paging);
	if (err)
		return err;
	walker_init(&ret->walker, &ret->paging, s);
	kernel_find_symbols(ret);
	kernel_find_types(ret);
	debug_log(&s->debug, GDUMP_DEBUG_STEP,
		  "the kernel has %u symbols in its memory, and its BTF has %u types",
		  ret->symbols.num, ret->btf.num);
	return NULL;
}

void kernel_move(struct kernel *k, struct source *s)
{
	k->source = s;
	walker_move(&k->walker, s);
}

void kernel_close(struct kernel *k)
{
	btf_deinit(&k->btf);
	symtab_deinit(&k->symbols);
	walker_deinit(&k->walker);
	paging_deinit(&k->paging);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "win_dmp.h"

#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cursor.h"

enum { MAX_CPUS = 4096 };

/* Where CONTEXT has a register, by the name that it has in NT_PRSTATUS. */
static const struct reg context_regs[] = {
	{ "cs", 0x38, 2 }, { "ds", 0x3a, 2 }, { "es", 0x3c, 2 }, { "fs", 0x3e, 2 },
	{ "gs", 0x40, 2 }, { "ss", 0x42, 2 }, { "eflags", 0x44, 4 },
	{ "rax", 0x78, 8 }, { "rcx", 0x80, 8 }, { "rdx", 0x88, 8 }, { "rbx", 0x90, 8 },
	{ "rsp", 0x98, 8 }, { "rbp", 0xa0, 8 }, { "rsi", 0xa8, 8 }, { "rdi", 0xb0, 8 },
	{ "r8", 0xb8, 8 }, { "r9", 0xc0, 8 }, { "r10", 0xc8, 8 }, { "r11", 0xd0, 8 },
	{ "r12", 0xd8, 8 }, { "r13", 0xe0, 8 }, { "r14", 0xe8, 8 }, { "r15", 0xf0, 8 },
	{ "rip", 0xf8, 8 },
};

static uint64_t win_get_le(const unsigned char *p, unsigned int n)
{
	struct cursor c = cursor_init(p, n, false, true);

	return get_uint(&c, n);
}

static void win_put_le(unsigned char *p, uint64_t v, unsigned int n)
{
	struct cursor c = cursor_init(p, n, false, true);

	put_uint(&c, v, n);
}

bool win_is_header(const unsigned char *head, size_t len)
{
	return len >= 8 && !memcmp(head, "PAGEDU64", 8);
}

void win_get_header(const unsigned char *buf, struct win_header *ret)
{
	*ret = (struct win_header){
		.cr3 = win_get_le(buf + WIN_CR3, 8), .kdbg = win_get_le(buf + WIN_KDBG, 8),
		.num_pages = win_get_le(buf + WIN_NUM_PAGES, 8),
		.machine = (uint32_t)win_get_le(buf + WIN_MACHINE, 4),
		.num_cpus = (uint32_t)win_get_le(buf + WIN_NUM_CPUS, 4),
		.bugcheck = (uint32_t)win_get_le(buf + WIN_BUGCHECK, 4),
		.type = (uint32_t)win_get_le(buf + WIN_DUMP_TYPE, 4),
		.num_runs = (uint32_t)win_get_le(buf + WIN_NUM_RUNS, 4),
	};
	for (size_t i = 0; i < WIN_MAX_RUNS; i++) {
		ret->runs[i].pfn = win_get_le(buf + WIN_RUNS + 16 * i, 8);
		ret->runs[i].num = win_get_le(buf + WIN_RUNS + 16 * i + 8, 8);
	}
}

bool win_runs_make_sense(const struct win_header *h)
{
	const uint64_t max = UINT64_C(1) << 40; /* 2^52 bytes of memory */
	uint64_t end = 0, pages = 0;

	if (!h->num_runs || h->num_runs > WIN_MAX_RUNS)
		return false;
	for (size_t i = 0; i < h->num_runs; i++) {
		const struct win_run *r = &h->runs[i];

		if (!r->num || r->pfn < end || !range_fits(r->pfn, r->num, max))
			return false;
		end = r->pfn + r->num;
		pages += r->num;
	}
	return pages == h->num_pages;
}

bool win_get(struct win_kernel *k, uint64_t vaddr, unsigned int n, uint64_t *ret)
{
	CLEANUP_ERROR struct gdump_error *err = walker_uint(&k->walker, vaddr, n, ret);

	return !err;
}

static bool win_is_kdbg(struct win_kernel *k, uint64_t vaddr)
{
	uint64_t tag;

	return win_get(k, vaddr + KDBG_TAG, 4, &tag) && tag == win_get_le((const void *)"KDBG", 4);
}

bool win_kernel_init(struct win_kernel *k, struct source *s, const unsigned char *header)
{
	const uint64_t cr3 = win_get_le(header + WIN_CR3, 8);

	k->paging = (struct paging){ .entry_size = 8 };
	x86_64_set_paging(&k->paging, cr3 & 0x000ffffffffff000, false, 0);
	walker_init(&k->walker, &k->paging, s);
	k->kdbg = win_get_le(header + WIN_KDBG, 8);
	if (win_is_kdbg(k, k->kdbg))
		return true;
	/* the kernel's own KDBG may be encoded; the driver says where it put a plain copy */
	k->kdbg = win_get_le(header + WIN_PARAMETER_1, 8);
	return win_is_kdbg(k, k->kdbg);
}

void win_kernel_deinit(struct win_kernel *k)
{
	walker_deinit(&k->walker);
}

bool win_kernel_runs(struct win_kernel *k, struct win_header *ret)
{
	uint64_t at, num;
	bool there;

	*ret = (struct win_header){ 0 };
	there = win_get(k, k->kdbg + KDBG_MEMORY, 8, &at) && win_get(k, at, 8, &at) &&
		win_get(k, at + MEMORY_NUM_RUNS, 4, &num) && num <= WIN_MAX_RUNS &&
		win_get(k, at + MEMORY_NUM_PAGES, 8, &ret->num_pages);
	for (size_t i = 0; there && i < num; i++)
		there = win_get(k, at + MEMORY_RUNS + 16 * i, 8, &ret->runs[i].pfn) &&
			win_get(k, at + MEMORY_RUNS + 16 * i + 8, 8, &ret->runs[i].num);
	if (!there)
		return false;
	ret->num_runs = (uint32_t)num;
	return win_runs_make_sense(ret);
}

bool win_context_at(struct win_kernel *k, uint32_t cpu, uint64_t *ret)
{
	uint64_t processors, off, prcb;

	return cpu < MAX_CPUS && win_get(k, k->kdbg + KDBG_PROCESSORS, 8, &processors) &&
	       win_get(k, k->kdbg + KDBG_PRCB_CONTEXT, 2, &off) &&
	       win_get(k, processors + 8 * (uint64_t)cpu, 8, &prcb) && prcb &&
	       win_get(k, prcb + off, 8, ret) && *ret;
}

static const struct reg *win_prstatus_reg(const char *name)
{
	const struct reg *r = arch_x86_64.regs;

	while (r->name && strcmp(r->name, name))
		r++;
	return r->name ? r : NULL;
}

void win_context_to_prstatus(const unsigned char *context, unsigned char *prstatus)
{
	for (size_t i = 0; i < ARRAY_SIZE(context_regs); i++) {
		const struct reg *from = &context_regs[i], *to = win_prstatus_reg(from->name);

		if (to)
			win_put_le(prstatus + to->off, win_get_le(context + from->off, from->size),
				   to->size);
	}
}

void win_context_make(unsigned char *context, const unsigned char *prstatus,
		      const unsigned char *fxsave)
{
	uint32_t flags = CONTEXT_AMD64 | CONTEXT_CONTROL | CONTEXT_INTEGER | CONTEXT_SEGMENTS;

	memset(context, 0, CONTEXT_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(context_regs); i++) {
		const struct reg *to = &context_regs[i], *from = win_prstatus_reg(to->name);

		if (from)
			win_put_le(context + to->off, win_get_le(prstatus + from->off, from->size),
				   to->size);
	}
	if (fxsave) {
		flags |= CONTEXT_FLOATING;
		memcpy(context + CONTEXT_FXSAVE, fxsave, FXSAVE_SIZE);
		memcpy(context + CONTEXT_MXCSR, fxsave + FXSAVE_MXCSR, 4);
	}
	win_put_le(context + CONTEXT_FLAGS, flags, 4);
}

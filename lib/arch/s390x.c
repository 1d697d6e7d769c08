/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../machine/image.h"
#include "../machine/walker.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "arch.h"

#define R(n) { "r" #n, 128 + 8 * n, 8 }
#define A(n) { "a" #n, 256 + 4 * n, 4 }
static const struct reg regs[] = {
	{ "psw_mask", 112, 8 }, { "psw_addr", 120, 8, true },
	R(0), R(1), R(2), R(3), R(4), R(5), R(6), R(7), R(8), R(9), R(10), R(11), R(12), R(13),
	R(14), { "r15", 248, 8, true },
	REGS_16(A),
	{ "orig_r2", 320, 8 }, { 0 },
};
#undef R
#undef A

#define F(n) { "f" #n, 8 + 8 * n, 8 }
#define C(n) { "c" #n, 8 * n, 8 }
#define L(n) { "v" #n "l", 8 * n, 8 }
#define V(n) { "v" #n, 16 * (n - 16), 16 }
static const struct reg fp[] = { { "fpc", 0, 4 }, REGS_16(F), { 0 } };
static const struct reg ctrs[] = { REGS_16(C), { 0 } };
static const struct reg prefix[] = { { "prefix", 0, 4 }, { 0 } };
static const struct reg timer[] = { { "timer", 0, 8 }, { 0 } };
static const struct reg todcmp[] = { { "todcmp", 0, 8 }, { 0 } };
static const struct reg todpreg[] = { { "todpreg", 0, 4 }, { 0 } };
/* the low halves of v0 to v15; the high ones are f0 to f15 */
static const struct reg vxrs_low[] = { REGS_16(L), { 0 } };
static const struct reg vxrs_high[] = { REGS_16_TO_31(V), { 0 } };
static const struct reg gs_cb[] = {
	{ "gsd", 8, 8 }, { "gssm", 16, 8 }, { "gs_epl_a", 24, 8 }, { 0 },
};
#undef F
#undef C
#undef L
#undef V

static const struct reg_set sets[] = {
	{ "float", "CORE", NT_FPREGSET, fp },
	{ "prefix", "LINUX", NT_S390_PREFIX, prefix },
	{ "control", "LINUX", NT_S390_CTRS, ctrs },
	{ "timer", "LINUX", NT_S390_TIMER, timer },
	{ "todcmp", "LINUX", NT_S390_TODCMP, todcmp },
	{ "todpreg", "LINUX", NT_S390_TODPREG, todpreg },
	{ "vec_low", "LINUX", NT_S390_VXRS_LOW, vxrs_low },
	{ "vector", "LINUX", NT_S390_VXRS_HIGH, vxrs_high },
	{ "guarded", "LINUX", NT_S390_GS_CB, gs_cb },
	{ 0 },
};

/* Before 6.10 virtual addresses of the kernel are physical ones; since then its image is
 * mapped elsewhere.
 */
static bool s390x_image_paddr(const struct image *image, uint64_t vaddr, uint64_t *paddr)
{
	uint64_t offset = 0, phys = 0;

	*paddr = vaddr;
	if (vmcoreinfo_hex(image, "KERNELOFFPHYS", &phys) &&
	    vmcoreinfo_hex(image, "KERNELOFFSET", &offset))
		*paddr = vaddr - offset + phys;
	return true;
}

/* Region and segment tables have 2048 entries, in which bit 0x20 means invalid and 0x400 a
 * large page.  Page tables have 256, in which 0x400 means invalid.
 */
static enum entry_kind s390x_entry(const struct paging *p, unsigned int level, uint64_t entry,
				   uint64_t *paddr)
{
	const unsigned int below = p->levels - 1 - level;

	*paddr = entry & ~(uint64_t)0xfff;
	if (!below)
		return entry & 0xc00 ? ENTRY_NONE : ENTRY_PAGE;
	if (entry & 0x20)
		return ENTRY_NONE;
	if (below <= 2 && entry & 0x400)
		return ENTRY_PAGE;
	if (below == 1)
		*paddr = entry & ~(uint64_t)0x7ff;
	return ENTRY_TABLE;
}

static bool s390x_paging(struct source *s, struct paging *ret)
{
	static const uint8_t shifts[] = { 53, 42, 31, 20, 12 };
	const struct image *image = &s->image;
	CLEANUP_ERROR struct gdump_error *err = NULL;
	unsigned char first[8];
	uint64_t root;
	unsigned int type;

	if (!vmcoreinfo_symbol(image, "swapper_pg_dir", &root) ||
	    !s390x_image_paddr(image, root, &ret->root))
		return false;
	/* every entry has the type of its table: 0 segment, 1 to 3 region */
	err = source_read(s, ret->root, first, sizeof(first));
	if (err)
		return false;
	type = first[7] >> 2 & 3;
	ret->levels = type + 2;
	ret->big = true;
	ret->entry = s390x_entry;
	for (unsigned int i = 0; i < ret->levels; i++) {
		ret->shift[i] = shifts[ARRAY_SIZE(shifts) - ret->levels + i];
		ret->bits[i] = i + 1 < ret->levels ? 11 : 8;
	}
	return true;
}

/* Linux stores two addresses in the lowcore, at absolute 0: of a VMCOREINFO note, and of
 * os_info, a page for tools that dump a crashed kernel.  That page begins with a magic and
 * a checksum of the rest; then it has entries of address, size and checksum, the first of
 * which is the text of VMCOREINFO.
 *
 * Facts: Linux's arch/s390/include/asm/{lowcore,os_info}.h, kernel/os_info.c.
 */
enum {
	LC_VMCOREINFO = 0xe0c, LC_OS_INFO = 0xe18,
	OS_INFO_SIZE = 4096, OS_INFO_SUMMED = 12, OS_INFO_ENTRIES = 32,
};

static bool s390x_read_lowcore(struct source *s, uint64_t paddr, uint64_t *ret)
{
	unsigned char buf[8];
	struct cursor c = cursor_init(buf, sizeof(buf), true, true);
	CLEANUP_ERROR struct gdump_error *err = source_read(s, paddr, buf, sizeof(buf));

	*ret = err ? 0 : get_u64(&c);
	return *ret;
}

/* The result of the CKSM instruction: a sum of words with end-around carry */
static uint32_t s390x_checksum(const unsigned char *p, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += (uint64_t)p[i] << (24 - i % 4 * 8);
	while (sum >> 32)
		sum = (uint32_t)sum + (sum >> 32);
	return (uint32_t)sum;
}

static bool s390x_has_checksum(struct source *s, const struct vmcoreinfo_loc *loc, uint32_t sum)
{
	CLEANUP_FREE unsigned char *text = malloc(loc->size);
	CLEANUP_ERROR struct gdump_error *err = text ? source_read(s, loc->paddr, text, loc->size) :
						       error_nomem();

	return !err && s390x_checksum(text, loc->size) == sum;
}

static bool s390x_find_os_info(struct source *s, struct vmcoreinfo_loc *ret)
{
	unsigned char page[OS_INFO_SIZE];
	struct cursor c = cursor_init(page, sizeof(page), true, true);
	struct gdump_error *err;
	uint64_t paddr, size;

	if (!s390x_read_lowcore(s, LC_OS_INFO, &paddr) || paddr % OS_INFO_SIZE)
		return false;
	err = source_read(s, paddr, page, sizeof(page));
	if (err) {
		gdump_error_destroy(err);
		return false;
	}
	if (memcmp(cursor_take(&c, 8), "OSINFOSZ", 8) ||
	    get_u32(&c) != s390x_checksum(page + OS_INFO_SUMMED, sizeof(page) - OS_INFO_SUMMED))
		return false;
	cursor_take(&c, OS_INFO_ENTRIES - OS_INFO_SUMMED);
	ret->paddr = get_u64(&c);
	size = get_u64(&c);
	if (!size || size > MAX_VMCOREINFO)
		return false;
	ret->size = (size_t)size;
	return s390x_has_checksum(s, ret, get_u32(&c));
}

static bool s390x_vmcoreinfo(struct source *s, struct vmcoreinfo_loc *ret)
{
	if (s390x_find_os_info(s, ret))
		return true;
	ret->size = 0;
	return s390x_read_lowcore(s, LC_VMCOREINFO, &ret->paddr);
}

const struct arch arch_s390x = {
	.name = "s390x",
	.machine = EM_S390,
	.is64 = true,
	.only_big = true,
	.page_size = 4096,
	.one_page_size = true,
	.kernel_key = "SYMBOL(lowcore_ptr)",
	.prstatus_size = 336,
	.section_bits = 28,
	.pv_dumps = true,
	.regs = regs,
	.sets = sets,
	.image_paddr = s390x_image_paddr,
	.vmcoreinfo = s390x_vmcoreinfo,
	.paging = s390x_paging,
};

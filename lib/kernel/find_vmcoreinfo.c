/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * find_vmcoreinfo.c - the kernel's VMCOREINFO note, found in its memory
 *
 * Theory of operation.  Linux keeps an ELF note, ready to be dumped, in pages of its
 * own from boot on, so only the first bytes of pages are looked at.  There may be
 * others: of a kernel before kexec, of a crash kernel that waits, of a guest in the
 * guest.  The right one says where init_uts_ns is, and there, translated by what the
 * same note says, the release that it names must be found.  Where that can't be
 * tried, the note is taken if all candidates agree.
 *
 * Facts: Linux's kernel/vmcore_info.c (crash_core.c before 6.9), append_elf_note().
 */
#include "find_vmcoreinfo.h"

#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cursor.h"
#include "vmcoreinfo.h"

enum {
	NOTE_ALIGN = 4096,              /* pages are not smaller                */
	NOTE_HEADER = 24,               /* with the name "VMCOREINFO"           */
	MAX_TEXT = 65536,               /* a page, of the largest size          */
	SCAN_PAGES = 512,
};

static const char first_key[] = "OSRELEASE=";
enum { HEAD_SIZE = NOTE_HEADER + sizeof(first_key) - 1 };

/* The size of the text when @head may begin the note, else 0. */
static size_t note_size(const struct image *image, const unsigned char *head)
{
	static const unsigned char name[12] = "VMCOREINFO";
	struct cursor c = cursor_init(head, HEAD_SIZE, image->big, image->is64);
	uint32_t namesz = get_u32(&c), size = get_u32(&c), type = get_u32(&c);

	if (namesz != 11 || type || size > MAX_TEXT || size < sizeof(first_key) ||
	    memcmp(head + 12, name, sizeof(name)) ||
	    memcmp(head + NOTE_HEADER, first_key, sizeof(first_key) - 1))
		return 0;
	return size;
}

static bool is_text(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((p[i] < ' ' || p[i] > '~') && p[i] != '\n' && p[i] != '\t')
			return false;
	}
	return len > 0;
}

/* Whether the release is where the note says that it is. */
static bool check(struct source *s, const struct vmcoreinfo_found *found)
{
	struct image image = s->image;
	uint64_t vaddr, off = 0, paddr;
	char release[UTS_LEN], uts[3][UTS_LEN];

	image.vmcoreinfo = found->text;
	image.vmcoreinfo_size = found->size;
	if (!image.arch->image_paddr || !vmcoreinfo_symbol(&image, "init_uts_ns", &vaddr) ||
	    !vmcoreinfo_string(&image, "OSRELEASE", release, sizeof(release)))
		return false;
	vmcoreinfo_decimal(&image, "OFFSET(uts_namespace.name)", &off);
	if (!image.arch->image_paddr(&image, vaddr + off, &paddr))
		return false;
	CLEANUP_ERROR struct gdump_error *err = source_read(s, paddr, uts, sizeof(uts));

	return !err && !strncmp(uts[0], "Linux", UTS_LEN) && !strncmp(uts[2], release, UTS_LEN);
}

static bool read_note(struct source *s, uint64_t paddr, size_t size,
		      struct vmcoreinfo_found *ret)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	char *text = malloc(size);

	if (!text)
		return false;
	err = source_read(s, paddr + NOTE_HEADER, text, size);
	*ret = (struct vmcoreinfo_found){ .text = text, .size = strnlen(text, size) };
	if (err || !is_text(text, ret->size)) {
		free(text);
		ret->text = NULL;
		return false;
	}
	ret->checked = check(s, ret);
	return true;
}

bool vmcoreinfo_at(struct source *s, uint64_t paddr, struct vmcoreinfo_found *ret)
{
	unsigned char head[HEAD_SIZE];
	CLEANUP_ERROR struct gdump_error *err = source_read(s, paddr, head, sizeof(head));
	size_t size = err ? 0 : note_size(&s->image, head);

	return size && read_note(s, paddr, size, ret);
}

static void take_better(struct vmcoreinfo_found *best, struct vmcoreinfo_found *found)
{
	const bool same = best->text && best->size == found->size &&
			  !memcmp(best->text, found->text, found->size);

	if (!best->text || (found->checked && !best->checked)) {
		free(best->text);
		*best = *found;
		return;
	}
	if (!same && found->checked == best->checked)
		best->doubtful = true;
	free(found->text);
}

/* Memory of the kernel's text and data begins at the page of its largest size. */
static void search_pages(struct source *s, uint64_t paddr, size_t num, const unsigned char *state,
			 struct vmcoreinfo_found *best)
{
	const uint32_t page_size = s->image.page_size;

	for (size_t i = 0; i < num; i++) {
		if (state[i] != PAGE_THERE)
			continue;
		for (uint32_t off = 0; off < page_size; off += NOTE_ALIGN) {
			struct vmcoreinfo_found found;

			if (vmcoreinfo_at(s, paddr + i * page_size + off, &found))
				take_better(best, &found);
		}
	}
}

void vmcoreinfo_search(struct source *s, uint64_t paddr, uint64_t len,
		       struct vmcoreinfo_found *best)
{
	const uint32_t page_size = s->image.page_size;
	unsigned char state[SCAN_PAGES];
	uint64_t pfn = div_up(paddr, page_size);
	const uint64_t end = (paddr + len) / page_size;

	while (pfn < end) {
		const size_t num = (size_t)MIN(end - pfn, SCAN_PAGES);
		CLEANUP_ERROR struct gdump_error *err = source_scan(s, pfn, num, state, true);

		if (err)
			return;
		search_pages(s, pfn * page_size, num, state, best);
		pfn += num;
	}
}

static struct gdump_error *add_note(struct source *s, const struct vmcoreinfo_found *found)
{
	struct gdump_error *err = image_add_note(&s->image, "VMCOREINFO", 0, found->text,
						 found->size);

	return err ? err : image_seal(&s->image);
}

struct gdump_error *find_vmcoreinfo(struct source *s, uint64_t hint)
{
	struct vmcoreinfo_found best = { 0 };
	struct gdump_error *err = NULL;

	if (!hint || !vmcoreinfo_at(s, hint, &best)) {
		for (size_t i = 0; i < s->image.num_ranges; i++) {
			const struct gdump_range *r = &s->image.ranges[i];

			if (r->kind == GDUMP_RANGE_RAM)
				vmcoreinfo_search(s, r->start, r->size, &best);
		}
	}
	if (best.text && !best.doubtful)
		err = add_note(s, &best);
	free(best.text);
	return err;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * find_vmcoreinfo.c - find the kernel's VMCOREINFO note in memory
 *
 * Theory of operation.  From boot on, Linux keeps a finished ELF note at the start of a
 * page, so only the first bytes of each page are examined.  There may be several: of the
 * kernel before kexec, of a loaded crash kernel, of a nested guest.  A candidate contains
 * the address of init_uts_ns.  If that address, translated as the same note says, leads
 * to the release that the note names, the candidate is good.  Where this cannot be checked,
 * the note is used only if all candidates are equal.  Of two complete kernels, the one
 * that crashed wins, and otherwise the one that the CPUs run.
 *
 * Facts: Linux's kernel/vmcore_info.c (crash_core.c before 6.9), append_elf_note().
 */
#include "find_vmcoreinfo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../parallel.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "../util/text.h"
#include "../machine/walker.h"
#include "search.h"
#include "uts.h"
#include "../machine/vmcoreinfo.h"

enum {
	NOTE_ALIGN = 4096,              /* the smallest page size               */
	NOTE_HEADER = 24,               /* with the name "VMCOREINFO"           */
	SCAN_PAGES = 32768,             /* most pages of a large guest are holes */
	READ_BYTES = 256 << 10,
};

static const char first_key[] = "OSRELEASE=";
enum { HEAD_SIZE = NOTE_HEADER + sizeof(first_key) - 1 };

/* The byte order of the note.  If the machine is unknown, it is derived from the first
 * number in @head, the size of the name, which is less than 256.
 */
static bool vmcoreinfo_is_big(const struct image *image, const unsigned char *head)
{
	return image->machine ? image->big : !head[0];
}

/* The size of the text if @head looks like the start of the note, else 0. */
static size_t vmcoreinfo_note_size(const struct image *image, const unsigned char *head)
{
	static const unsigned char name[12] = "VMCOREINFO";
	struct cursor c = cursor_init(head, HEAD_SIZE, vmcoreinfo_is_big(image, head), image->is64);
	uint32_t namesz = get_u32(&c), size = get_u32(&c), type = get_u32(&c);

	if (namesz != 11 || type || size > MAX_VMCOREINFO || size < sizeof(first_key) ||
	    memcmp(head + 12, name, sizeof(name)) ||
	    memcmp(head + NOTE_HEADER, first_key, sizeof(first_key) - 1))
		return 0;
	return size;
}

static bool vmcoreinfo_is_text(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if ((p[i] < ' ' || p[i] > '~') && p[i] != '\n' && p[i] != '\t')
			return false;
	}
	return len > 0;
}

/* Whether the page tables of a CPU map the kernel's image to where the note says it is. */
static bool vmcoreinfo_is_of_cpu(struct source *s, const struct image *image)
{
	uint64_t vaddr, want, paddr, len;
	bool same = false;

	if (!vmcoreinfo_symbol(image, "init_uts_ns", &vaddr) ||
	    !image->arch->image_paddr(image, vaddr, &want))
		return false;
	for (size_t cpu = 0; !same && cpu < image->num_cpus_with_notes; cpu++) {
		struct paging paging;
		struct walker w;

		if (!paging_of_cpu(s, cpu, &paging))
			continue;
		walker_init(&w, &paging, s);
		same = walker_translate(&w, vaddr, &paddr, &len) && paddr == want;
		walker_deinit(&w);
	}
	return same;
}

enum vmcoreinfo_trust vmcoreinfo_rate(struct source *s, const struct vmcoreinfo_found *found)
{
	struct image image = s->image;
	char release[UTS_LEN], uts[3][UTS_LEN];
	uint64_t paddr;
	size_t len;

	image.vmcoreinfo = found->text;
	image.vmcoreinfo_size = found->size;
	if (!vmcoreinfo_string(&image, "OSRELEASE", release, sizeof(release)) ||
	    !uts_paddr(&image, &paddr))
		return TRUST_FORM;
	CLEANUP_ERROR struct gdump_error *err = source_read(s, paddr, uts, sizeof(uts));

	if (err || strncmp(uts[0], "Linux", UTS_LEN) || strncmp(uts[2], release, UTS_LEN))
		return TRUST_FORM;
	if (vmcoreinfo_get(&image, "CRASHTIME", &len))
		return TRUST_CRASHED;
	return vmcoreinfo_is_of_cpu(s, &image) ? TRUST_CPU : TRUST_RELEASE;
}

/* Its line @key, as text; false: it has none. */
static bool vmcoreinfo_line(const struct vmcoreinfo_found *found, const char *key, char *buf,
			    size_t size)
{
	const struct image image = { .vmcoreinfo = found->text, .vmcoreinfo_size = found->size };

	return vmcoreinfo_string(&image, key, buf, size);
}

bool vmcoreinfo_is_named(const struct vmcoreinfo_found *found, const char *kernel)
{
	static const char *const keys[] = { "OSRELEASE", "BUILD-ID", "KERNELOFFSET" };
	char value[128];

	if (kernel && !strcmp(kernel, "running"))
		return !vmcoreinfo_line(found, "CRASHTIME", value, sizeof(value));
	for (size_t i = 0; kernel && i < ARRAY_SIZE(keys); i++) {
		if (vmcoreinfo_line(found, keys[i], value, sizeof(value)) && !strcmp(value, kernel))
			return true;
	}
	return !kernel;
}

void vmcoreinfo_warn_of_two(struct source *s, const struct vmcoreinfo_found *a,
			    const struct vmcoreinfo_found *b, const char *result)
{
	char x[48] = "?", y[48] = "?";

	vmcoreinfo_line(a, "OSRELEASE", x, sizeof(x));
	vmcoreinfo_line(b, "OSRELEASE", y, sizeof(y));
	if (!strcmp(x, y)) {
		vmcoreinfo_line(a, "KERNELOFFSET", x, sizeof(x));
		vmcoreinfo_line(b, "KERNELOFFSET", y, sizeof(y));
	}
	text_clean(x);
	text_clean(y);
	snprintf(s->image.warning, sizeof(s->image.warning),
		 "there are two kernels, %s and %s; %s; choose with --kernel", x, y, result);
}

static bool vmcoreinfo_read_text(struct source *s, uint64_t paddr, size_t size,
				 struct vmcoreinfo_found *ret)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	char *text = malloc(size);

	if (!text)
		return false;
	err = source_read(s, paddr, text, size);
	*ret = (struct vmcoreinfo_found){
		.text = text, .size = strnlen(text, size), .paddr = paddr, .big = s->image.big,
	};
	if (err || !vmcoreinfo_is_text(text, ret->size) || !vmcoreinfo_is_named(ret, s->kernel)) {
		free(text);
		ret->text = NULL;
		return false;
	}
	ret->trust = vmcoreinfo_rate(s, ret);
	return true;
}

/* Read the note at @paddr, if @head, the memory there, is the start of one. */
static bool vmcoreinfo_read_note(struct source *s, uint64_t paddr, const unsigned char *head,
				 struct vmcoreinfo_found *ret)
{
	const size_t size = vmcoreinfo_note_size(&s->image, head);

	if (!size || !vmcoreinfo_read_text(s, paddr + NOTE_HEADER, size, ret))
		return false;
	ret->big = vmcoreinfo_is_big(&s->image, head);
	return true;
}

bool vmcoreinfo_at(struct source *s, uint64_t paddr, struct vmcoreinfo_found *ret)
{
	unsigned char head[HEAD_SIZE];
	CLEANUP_ERROR struct gdump_error *err = source_read(s, paddr, head, sizeof(head));

	return !err && vmcoreinfo_read_note(s, paddr, head, ret);
}

static void vmcoreinfo_free(struct vmcoreinfo_found *found)
{
	free(found->text);
	free(found->rival);
	*found = (struct vmcoreinfo_found){ 0 };
}

/* Another candidate has the same evidence as the best one. */
static void vmcoreinfo_take_rival(struct vmcoreinfo_found *best, struct vmcoreinfo_found *found)
{
	const bool same = best->size == found->size && !memcmp(best->text, found->text, found->size);

	if (!best->rival && (found->rival || !same)) {
		best->rival_size = same ? found->rival_size : found->size;
		best->rival = same ? TAKE_PTR(found->rival) : TAKE_PTR(found->text);
	}
	vmcoreinfo_free(found);
}

static void vmcoreinfo_take_better(struct vmcoreinfo_found *best, struct vmcoreinfo_found *found)
{
	if (!best->text || found->trust > best->trust) {
		vmcoreinfo_free(best);
		*best = *found;
	} else if (found->trust == best->trust) {
		vmcoreinfo_take_rival(best, found);
	} else {
		vmcoreinfo_free(found);
	}
}

/* The state of one thread */
struct vmcoreinfo_search {
	struct source *source;
	struct vmcoreinfo_found best;
	unsigned char *buf;             /* of READ_BYTES                        */
	unsigned char *state;           /* of SCAN_PAGES                        */
	/* the range of the last chunk, and the number of chunks in all ranges before it */
	size_t range;
	uint64_t before;
};

/* Search memory that has been read. */
static void vmcoreinfo_search_bytes(struct vmcoreinfo_search *s, uint64_t paddr,
				    const unsigned char *p, size_t len)
{
	for (size_t off = 0; off + HEAD_SIZE <= len; off += NOTE_ALIGN) {
		struct vmcoreinfo_found found;

		if (vmcoreinfo_read_note(s->source, paddr + off, p + off, &found))
			vmcoreinfo_take_better(&s->best, &found);
	}
}

/* Search pages that are all present: in place, or by reading some at a time. */
static void vmcoreinfo_search_run(struct vmcoreinfo_search *s, uint64_t paddr, size_t len)
{
	const unsigned char *p = source_borrow(s->source, paddr, len);

	if (p) {
		vmcoreinfo_search_bytes(s, paddr, p, len);
		return;
	}
	for (size_t off = 0, n; off < len; off += n) {
		struct gdump_error *err;

		n = MIN(len - off, READ_BYTES);
		err = source_read(s->source, paddr + off, s->buf, n);
		if (!err)
			vmcoreinfo_search_bytes(s, paddr + off, s->buf, n);
		gdump_error_destroy(err);
	}
}

static void vmcoreinfo_search_pages(struct vmcoreinfo_search *s, uint64_t pfn, size_t num)
{
	const uint32_t page_size = s->source->image.page_size;
	const unsigned char *state = s->state, *end = state + num, *there = state;
	CLEANUP_ERROR struct gdump_error *err = source_scan(s->source, pfn, num, s->state, true);

	while (!err && (there = memchr(there, PAGE_THERE, (size_t)(end - there)))) {
		size_t n = 1;

		while (there + n < end && there[n] == PAGE_THERE)
			n++;
		vmcoreinfo_search_run(s, (pfn + (uint64_t)(there - state)) * page_size,
				      n * page_size);
		there += n;
	}
}

static void vmcoreinfo_search_chunk(struct vmcoreinfo_search *s, uint64_t pfn, uint64_t num)
{
	enum page_state state;
	const uint64_t gap = source_gap(s->source, pfn, num, &state);

	if (gap < num)
		vmcoreinfo_search_pages(s, pfn + gap, (size_t)(num - gap));
}

/* All memory, in chunks of SCAN_PAGES; each thread takes the next one. */
struct vmcoreinfo_search_all {
	struct source *source;
	pthread_mutex_t lock;
	struct vmcoreinfo_found best;
};

/* The first page of chunk @i, and how many it has; 0: there is no such chunk.  Chunks are
 * numbered through all ranges of RAM.  A thread asks for ascending numbers, so the search
 * continues at the range of the last chunk.
 */
static uint64_t vmcoreinfo_find_chunk(struct vmcoreinfo_search *s, uint64_t i, uint64_t *pfn)
{
	const struct image *image = &s->source->image;

	for (; s->range < image->num_ranges; s->range++) {
		const struct gdump_range *range = &image->ranges[s->range];
		const uint64_t first = div_up(range->start, image->page_size);
		const uint64_t end = (range->start + range->size) / image->page_size;
		const uint64_t chunks = div_up(end - MIN(first, end), SCAN_PAGES);

		if (range->kind != GDUMP_RANGE_RAM)
			continue;
		if (i - s->before < chunks) {
			*pfn = first + (i - s->before) * SCAN_PAGES;
			return MIN(end - *pfn, SCAN_PAGES);
		}
		s->before += chunks;
	}
	return 0;
}

static uint64_t vmcoreinfo_count_chunks(const struct image *image)
{
	uint64_t n = 0;

	for (size_t r = 0; r < image->num_ranges; r++) {
		const struct gdump_range *range = &image->ranges[r];

		if (range->kind == GDUMP_RANGE_RAM)
			n += div_up(range->size / image->page_size, SCAN_PAGES) + 1;
	}
	return n;
}

static struct gdump_error *vmcoreinfo_search_thread(void *arg, struct parallel *p)
{
	struct vmcoreinfo_search_all *all = arg;
	CLEANUP_FREE unsigned char *buf = malloc(READ_BYTES), *state = malloc(SCAN_PAGES);
	struct vmcoreinfo_search s = { .source = all->source, .buf = buf, .state = state };
	uint64_t i, pfn;

	if (!buf || !state)
		return error_nomem();
	while (parallel_next(p, &i)) {
		uint64_t num = vmcoreinfo_find_chunk(&s, i, &pfn);

		if (num)
			vmcoreinfo_search_chunk(&s, pfn, num);
	}
	if (s.best.text) {
		pthread_mutex_lock(&all->lock);
		vmcoreinfo_take_better(&all->best, &s.best);
		pthread_mutex_unlock(&all->lock);
	}
	return NULL;
}

static struct gdump_error *vmcoreinfo_add_note(struct source *s,
					       const struct vmcoreinfo_found *found)
{
	struct gdump_error *err = image_add_note(&s->image, "VMCOREINFO", 0, found->text,
						 found->size);

	s->image.big = found->big;
	return err ? err : image_seal(&s->image);
}

/* Find VMCOREINFO by the address that the kernel stores for dump tools.  A bare note must
 * be checked, because it may belong to an earlier kernel.
 */
static bool vmcoreinfo_find_by_kernel(struct source *s, struct vmcoreinfo_found *ret)
{
	struct vmcoreinfo_loc loc;

	if (!s->image.arch->vmcoreinfo || !s->image.arch->vmcoreinfo(s, &loc))
		return false;
	if (loc.size)
		return vmcoreinfo_read_text(s, loc.paddr, loc.size, ret);
	if (!vmcoreinfo_at(s, loc.paddr, ret))
		return false;
	if (ret->trust != TRUST_FORM)
		return true;
	vmcoreinfo_free(ret);
	return false;
}

static void vmcoreinfo_log(const struct source *s, const struct vmcoreinfo_found *found,
			   const char *how)
{
	static const char *const trust[] = {
		[TRUST_FORM] = "unverified",
		[TRUST_RELEASE] = "it describes the kernel that it names",
		[TRUST_CPU] = "it describes the kernel that the CPUs run",
		[TRUST_CRASHED] = "it describes the kernel that crashed",
	};

	if (!found->text)
		debug_log(&s->debug, GDUMP_DEBUG_STEP, "no VMCOREINFO was found %s", how);
	else
		debug_log(&s->debug, GDUMP_DEBUG_STEP,
			  "a VMCOREINFO of %zu bytes was found at 0x%" PRIx64 " %s; %s%s",
			  found->size, found->paddr, how, trust[found->trust],
			  found->rival ? "; others contradict it, so it is not used" : "");
}

struct gdump_error *find_vmcoreinfo(struct source *s, uint64_t hint)
{
	struct vmcoreinfo_search_all all = { .source = s, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct gdump_error *err = NULL;
	const char *how;

	if (hint && vmcoreinfo_at(s, hint, &all.best)) {
		how = "where the guest reported it";
	} else if (vmcoreinfo_find_by_kernel(s, &all.best)) {
		how = "where the kernel keeps its address";
	} else if (!search_is_possible(s)) {
		how = "without a search through all memory";
		snprintf(s->image.warning, sizeof(s->image.warning),
			 "memory was not searched for VMCOREINFO, as it is too large to be read "
			 "through QEMU; start the guest with -device vmcoreinfo, or run as root");
	} else {
		how = "by a search through all memory";
		err = parallel_run(0, vmcoreinfo_count_chunks(&s->image), vmcoreinfo_search_thread,
				   &all);
	}
	vmcoreinfo_log(s, &all.best, how);
	if (!err && all.best.rival) {
		const struct vmcoreinfo_found rival = { .text = all.best.rival,
							.size = all.best.rival_size };

		vmcoreinfo_warn_of_two(s, &all.best, &rival, "none is used");
	} else if (!err && all.best.text) {
		err = vmcoreinfo_add_note(s, &all.best);
	}
	vmcoreinfo_free(&all.best);
	return err;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/win_dmp_write.c - Windows crash dumps, full ones
 *
 * Theory of operation
 *
 * The header comes from the guest: virtio-win's fwcfg driver creates one and reports its
 * address to QEMU, which copies it into its ELF files as the descriptor of the note VMCOREINFO.
 * If there is no such note, memory is searched for a header.  Since a guest may write anything
 * to memory, a header is accepted only if its runs are consistent and its page tables lead to
 * KDBG.
 *
 * The header is completed as Windows would do it in a crash.  The CONTEXTs of the CPUs, which
 * lie in guest memory, are out of date; so a CONTEXT whose registers differ from those of the
 * notes is replaced in the file.  Guest memory itself is never written.
 *
 * The runs of the header determine the layout of the file.  Pages of runs that are not in the
 * input are written as zero, and counted.
 */
#include "win_dmp.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"

enum {
	SEARCH_PAGES = 256,
	MAX_CANDIDATES = 1000,
	MAX_PATCHED_CPUS = 4096,
};

/* Bytes that replace others in the file, all in one page */
struct patch {
	uint64_t off;
	size_t len;
	unsigned char *bytes;           /* in win_writer.contexts               */
};

struct win_writer {
	struct writer writer;
	const struct write_spec *spec;
	unsigned char head[WIN_HEADER_SIZE];
	struct win_header header;
	struct pieces pieces;
	uint64_t end;
	unsigned char *contexts;        /* one after the other                  */
	struct patch *patches;          /* ascending                            */
	size_t num_patches;
	size_t next_patch;              /* on a stream: not written yet         */
};

static void win_set_le(unsigned char *head, size_t off, uint64_t v, unsigned int n)
{
	struct cursor c = cursor_init(head + off, n, false, true);

	put_uint(&c, v, n);
}

static uint64_t win_num_pages(const struct image *image)
{
	uint64_t n = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		n += div_up(image->ranges[i].size, WIN_PAGE);
	return n;
}

/* Whether @head is plausible: it must not claim more memory than the guest has. */
static bool win_good_header(struct source *s, const unsigned char *head)
{
	struct win_header h;
	struct win_kernel k;
	bool good;

	win_get_header(head, &h);
	if (!win_is_header(head, WIN_HEADER_SIZE) || h.machine != WIN_MACHINE_AMD64 ||
	    !h.num_cpus || !win_runs_make_sense(&h) || h.num_pages > win_num_pages(&s->image))
		return false;
	good = win_kernel_init(&k, s, head);
	win_kernel_deinit(&k);
	return good;
}

static bool win_find_note(struct win_writer *w)
{
	const struct image *image = w->spec->image;

	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];

		if (strcmp(n->name, "VMCOREINFO") || n->size != WIN_HEADER_SIZE ||
		    !win_good_header(w->spec->source, n->desc))
			continue;
		memcpy(w->head, n->desc, WIN_HEADER_SIZE);
		return true;
	}
	return false;
}

/* A header that may begin in @len bytes of memory at @paddr. */
static bool win_search_bytes(struct win_writer *w, const unsigned char *buf, uint64_t paddr,
			     size_t len, unsigned int *candidates)
{
	struct source *s = w->spec->source;

	for (size_t i = 0; i + 8 <= len; i += 8) {
		struct gdump_error *err;

		if (memcmp(buf + i, "PAGEDU64", 8) || ++*candidates > MAX_CANDIDATES)
			continue;
		err = source_read(s, paddr + i, w->head, WIN_HEADER_SIZE);
		if (!err && win_good_header(s, w->head))
			return true;
		gdump_error_destroy(err);
	}
	return false;
}

/* Search pages [pfn, pfn + num); pages that cannot be read have no header. */
static bool win_search_pages(struct win_writer *w, uint64_t pfn, size_t num, unsigned char *buf,
			     unsigned int *candidates)
{
	struct gdump_error *err = source_read(w->spec->source, pfn * WIN_PAGE, buf, num * WIN_PAGE);
	bool found = false;

	if (!err)
		return win_search_bytes(w, buf, pfn * WIN_PAGE, num * WIN_PAGE, candidates);
	gdump_error_destroy(err);
	for (size_t i = 0; !found && num > 1 && i < num; i++)
		found = win_search_pages(w, pfn + i, 1, buf, candidates);
	return found;
}

/* Search a range, without the gaps: a dump may claim far more memory than it has. */
static bool win_search_range(struct win_writer *w, const struct gdump_range *r, unsigned char *buf,
			     unsigned int *candidates)
{
	const uint64_t end = (r->start + (r->size - 1)) / WIN_PAGE + 1;
	bool found = false;
	uint64_t num;

	for (uint64_t pfn = r->start / WIN_PAGE; !found && pfn < end; pfn += num) {
		enum page_state state;

		num = source_gap(w->spec->source, pfn, end - pfn, &state);
		if (num)
			continue;
		num = MIN(end - pfn, SEARCH_PAGES);
		found = win_search_pages(w, pfn, (size_t)num, buf, candidates);
	}
	return found;
}

static struct gdump_error *win_search_memory(struct win_writer *w, bool *found)
{
	const struct image *image = w->spec->image;
	CLEANUP_FREE unsigned char *buf = malloc(SEARCH_PAGES * WIN_PAGE);
	unsigned int candidates = 0;

	if (!buf)
		return error_nomem();
	for (size_t i = 0; !*found && i < image->num_ranges; i++) {
		if (image->ranges[i].kind == GDUMP_RANGE_RAM)
			*found = win_search_range(w, &image->ranges[i], buf, &candidates);
	}
	return NULL;
}

static struct gdump_error *win_find_header(struct win_writer *w)
{
	bool found;
	struct gdump_error *err = NULL;

	if (w->spec->image->machine != EM_X86_64 || w->spec->plan->page_size != WIN_PAGE)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "format win-dmp can hold memory of Windows on x86-64 only");
	found = win_find_note(w);
	if (!found)
		err = win_search_memory(w, &found);
	if (err || found)
		return err;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "there is no header of a Windows dump in the notes or in memory; a Windows guest needs virtio-win's fwcfg driver and QEMU's -device vmcoreinfo");
}

/* Fill in what Windows fills in when it crashes. */
static void win_complete_header(struct win_writer *w, struct win_kernel *k)
{
	uint64_t value, data;

	win_set_le(w->head, WIN_KDBG, k->kdbg, 8);
	win_set_le(w->head, WIN_NUM_RUNS + 4, 0, 4);
	win_set_le(w->head, WIN_DUMP_TYPE, WIN_FULL, 8);
	win_set_le(w->head, WIN_SPACE, WIN_HEADER_SIZE + w->header.num_pages * WIN_PAGE, 8);
	if (win_get(k, k->kdbg + KDBG_PFN_DATABASE, 8, &value))
		win_set_le(w->head, WIN_PFN_DATABASE, value, 8);
	if (win_get(k, k->kdbg + KDBG_BUGCHECK, 8, &data)) {
		struct gdump_error *err = walker_read(&k->walker, data, w->head + WIN_BUGCHECK,
						      WIN_BUGCHECK_SIZE);

		gdump_error_destroy(err);
	}
	win_get_header(w->head, &w->header);
	if (!w->header.bugcheck)
		win_set_le(w->head, WIN_BUGCHECK, WIN_LIVE_SYSTEM, 4);
}

static const struct gdump_note *win_find_cpu_note(const struct image *image, uint32_t cpu,
						  uint32_t type, size_t size)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];

		if (n->cpu == (int32_t)cpu && n->type == type && n->size == size &&
		    !strcmp(n->name, "CORE"))
			return n;
	}
	return NULL;
}

/* Whether the CONTEXT in memory already has the registers of @want. */
static bool win_is_current(struct win_kernel *k, uint64_t at, const unsigned char *want)
{
	const size_t first = 0x38, end = CONTEXT_FXSAVE;
	unsigned char have[CONTEXT_SIZE];
	struct gdump_error *err = walker_read(&k->walker, at, have, sizeof(have));
	const bool good = !err;

	gdump_error_destroy(err);
	/* except for the debug registers, which no note has */
	return good && !memcmp(have + first, want + first, 0x48 - first) &&
	       !memcmp(have + 0x78, want + 0x78, end - 0x78);
}

/* Put @context, which is mapped at @vaddr, where the file has that memory. */
static void win_add_patches(struct win_writer *w, struct win_kernel *k, uint64_t vaddr,
			    unsigned char *context)
{
	for (size_t done = 0, n; done < CONTEXT_SIZE; done += n) {
		uint64_t paddr, len;
		const struct piece *x;
		size_t i;

		n = (size_t)MIN(CONTEXT_SIZE - done, WIN_PAGE - (vaddr + done) % WIN_PAGE);
		if (!walker_translate(&k->walker, vaddr + done, &paddr, &len))
			continue;
		i = pieces_after(&w->pieces, paddr);
		x = i < w->pieces.num ? &w->pieces.list[i] : NULL;
		if (x && x->paddr <= paddr)
			w->patches[w->num_patches++] = (struct patch){
				.off = x->off + (paddr - x->paddr), .len = n,
				.bytes = context + done,
			};
	}
}

static int win_patch_by_off(const void *a, const void *b)
{
	const struct patch *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

static struct gdump_error *win_patch_contexts(struct win_writer *w, struct win_kernel *k)
{
	const struct image *image = w->spec->image;
	const uint32_t num = MIN(w->header.num_cpus, MAX_PATCHED_CPUS);
	unsigned char *first = w->head + WIN_CONTEXT;

	w->contexts = calloc(num, CONTEXT_SIZE);
	w->patches = calloc(2 * (size_t)num, sizeof(*w->patches));
	if (!w->contexts || !w->patches)
		return error_nomem();
	for (uint32_t cpu = 0; cpu < num; cpu++) {
		const struct gdump_note *regs = win_find_cpu_note(image, cpu, NT_PRSTATUS,
								  PRSTATUS_SIZE);
		const struct gdump_note *fp = win_find_cpu_note(image, cpu, NT_FPREGSET,
								FXSAVE_SIZE);
		unsigned char *context = w->contexts + cpu * (size_t)CONTEXT_SIZE;
		uint64_t at;

		if (!regs)
			continue;
		win_context_make(context, regs->desc, fp ? fp->desc : NULL);
		/* the header has no CONTEXT, or the one that Windows initializes it with */
		if (!cpu && (!memcmp(first + CONTEXT_FLAGS, "\0\0\0", 4) ||
			     !memcmp(first + CONTEXT_FLAGS, "PAGE", 4)))
			memcpy(first, context, CONTEXT_SIZE);
		if (win_context_at(k, cpu, &at) && !win_is_current(k, at, context))
			win_add_patches(w, k, at, context);
	}
	qsort(w->patches, w->num_patches, sizeof(*w->patches), win_patch_by_off);
	return NULL;
}

/* How many pages of a run are in the dump. */
static uint64_t win_count_kept(const struct gdump_plan *plan, const struct win_run *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < plan->num_extents; i++) {
		const struct extent *x = &plan->extents[i];
		const uint64_t end = MIN(x->pfn + x->num, r->pfn + r->num);

		for (uint64_t pfn = MAX(x->pfn, r->pfn), run; pfn < end; pfn += run) {
			bool kept;

			run = MIN(plan_run(plan, pfn, &kept), end - pfn);
			n += kept ? run : 0;
		}
	}
	return n;
}

static struct gdump_error *win_lay_out(struct win_writer *w)
{
	const struct gdump_plan *plan = w->spec->plan;
	struct gdump_error *err = NULL;

	w->end = WIN_HEADER_SIZE;
	for (size_t i = 0; !err && i < w->header.num_runs; i++) {
		const struct win_run *r = &w->header.runs[i];

		err = pieces_add(&w->pieces, r->pfn * WIN_PAGE, r->num * WIN_PAGE, w->end);
		w->end += r->num * WIN_PAGE;
		w->writer.zero_filled += r->num - win_count_kept(plan, r);
	}
	return err;
}

/* On a stream: the patches before @end, which are in pages that are zero. */
static struct gdump_error *win_pass_patches(struct win_writer *w, uint64_t end)
{
	struct gdump_error *err = NULL;

	for (; !err && w->next_patch < w->num_patches; w->next_patch++) {
		const struct patch *p = &w->patches[w->next_patch];

		if (p->off >= end)
			break;
		err = sink_write(w->spec->sink, p->off, p->bytes, p->len);
	}
	return err;
}

/* On a stream: one part, with the patches that lie in it. */
static struct gdump_error *win_stream_part(struct win_writer *w, const struct piece_part *part)
{
	CLEANUP_FREE unsigned char *copy = NULL;
	struct gdump_error *err = win_pass_patches(w, part->off);

	if (err)
		return err;
	for (; w->next_patch < w->num_patches; w->next_patch++) {
		const struct patch *p = &w->patches[w->next_patch];

		if (p->off >= part->off + part->len)
			break;
		if (!copy) {
			copy = malloc(part->len);
			if (!copy)
				return error_nomem();
			memcpy(copy, part->data, part->len);
		}
		memcpy(copy + (p->off - part->off), p->bytes, p->len);
	}
	return sink_write(w->spec->sink, part->off, copy ? copy : part->data, part->len);
}

static struct gdump_error *win_store(struct writer *writer, const struct batch *b)
{
	struct win_writer *w = (struct win_writer *)writer;
	struct piece_walk walk = { .pieces = &w->pieces, .batch = b, .page_size = WIN_PAGE };
	struct gdump_error *err = NULL;
	struct piece_part part;

	if (w->spec->sink->seeks)
		return pieces_store(&w->pieces, w->spec->sink, b, WIN_PAGE);
	while (!err && piece_walk_next(&walk, &part))
		err = win_stream_part(w, &part);
	return err;
}

static struct gdump_error *win_finish(struct writer *writer, uint64_t *size)
{
	struct win_writer *w = (struct win_writer *)writer;

	*size = w->end;
	writer->unmarked = writer->incomplete || w->spec->image->incomplete;
	return win_pass_patches(w, w->end);
}

static void win_close(struct writer *writer)
{
	struct win_writer *w = (struct win_writer *)writer;

	pieces_deinit(&w->pieces);
	free(w->contexts);
	free(w->patches);
	free(w);
}

static const struct writer_ops win_writer_ops = {
	.store = win_store,
	.finish = win_finish,
	.close = win_close,
};

static struct gdump_error *win_prepare(struct win_writer *w)
{
	struct win_kernel k;
	struct gdump_error *err = win_find_header(w);

	if (err)
		return err;
	win_get_header(w->head, &w->header);
	err = win_lay_out(w);
	win_kernel_init(&k, w->spec->source, w->head);
	win_complete_header(w, &k);
	if (!err)
		err = win_patch_contexts(w, &k);
	win_kernel_deinit(&k);
	return err ? err : sink_write(w->spec->sink, 0, w->head, sizeof(w->head));
}

struct gdump_error *win_dmp_check(struct source *s, const struct gdump_plan *plan)
{
	const struct write_spec spec = { .image = &s->image, .source = s, .plan = plan };
	struct win_writer *w = calloc(1, sizeof(*w));
	struct gdump_error *err;

	if (!w)
		return error_nomem();
	w->spec = &spec;
	err = win_find_header(w);
	free(w);
	return err;
}

struct gdump_error *win_dmp_create(const struct write_spec *spec, struct writer **ret)
{
	struct win_writer *w = calloc(1, sizeof(*w));
	CLEANUP_WRITER struct writer *owned = &w->writer;
	struct gdump_error *err;

	if (!w)
		return error_nomem();
	w->writer.ops = &win_writer_ops;
	w->spec = spec;
	err = win_prepare(w);
	if (err)
		return err;
	owned = NULL;
	*ret = &w->writer;
	return NULL;
}

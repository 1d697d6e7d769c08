/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * process_core.c - the ELF core of a process, as the kernel would write it
 *
 *     ELF header, program headers, notes, memory
 *
 * A segment is memory that is there, followed by memory that is not: its p_filesz is smaller than
 * its p_memsz then, and debuggers take that part from the program's file, if it is from a file.
 *
 * Facts: Linux's fs/binfmt_elf.c.
 */
#include "process.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"

enum {
	PAGE = 4096,                    /* the alignment of memory in the file  */
	PIECE = 1 << 20,
	MAX_SEGMENTS = PN_XNUM - 2,
	MAX_STEPS = 1 << 27,            /* through page tables                  */
	SPARE_PAGES = 1 << 16,
	FLAG_READ = 1, FLAG_WRITE = 2, FLAG_EXEC = 4, FLAG_PFNMAP = 0x400, FLAG_IO = 0x4000,
	PRSTATUS_HEAD = 112, PRPSINFO_SIZE = 136,
};

struct process_segment {
	uint64_t vaddr, filesz, memsz, off;
	uint32_t flags;
};

struct process_core {
	struct process *p;
	struct sink *sink;
	struct process_segment *segments;
	size_t num_segments;
	uint64_t pages, max_pages, steps;
	unsigned char *notes;
	size_t notes_len;
};

/* Notes --------------------------------------------------------------------- */

/* Append a note; @desc NULL: zeros.  Returns its descriptor, or NULL. */
static unsigned char *process_add_note(struct process_core *c, uint32_t type, const void *desc, size_t len)
{
	const size_t size = 12 + 8 + round_up(len, 4);
	unsigned char *notes = realloc(c->notes, c->notes_len + size), *at;
	struct cursor to;

	if (!notes)
		return NULL;
	c->notes = notes;
	at = notes + c->notes_len;
	c->notes_len += size;
	to = cursor_init(at, size, c->p->kernel->source->image.big, true);
	put_u32(&to, 5);
	put_u32(&to, (uint32_t)len);
	put_u32(&to, type);
	put_bytes(&to, "CORE\0\0\0", 8);
	memset(at + 20, 0, round_up(len, 4));
	if (desc)
		memcpy(at + 20, desc, len);
	return at + 20;
}

static bool process_add_thread(struct process_core *c, const struct process_thread *t)
{
	const size_t len = PRSTATUS_HEAD + 8u * c->p->arch->num_regs + 8;
	unsigned char *desc = process_add_note(c, NT_PRSTATUS, NULL, len);
	struct cursor to;

	if (!desc)
		return false;
	to = cursor_init(desc, len, c->p->kernel->source->image.big, true);
	put_zeros(&to, 32);                             /* signals */
	put_u32(&to, (uint32_t)t->pid);
	put_zeros(&to, PRSTATUS_HEAD - 36);             /* other processes, times */
	for (size_t i = 0; i < c->p->arch->num_regs; i++)
		put_u64(&to, t->regs[i]);
	return true;
}

static bool process_add_psinfo(struct process_core *c)
{
	unsigned char *desc = process_add_note(c, NT_PRPSINFO, NULL, PRPSINFO_SIZE);
	struct cursor to;

	if (!desc)
		return false;
	to = cursor_init(desc, PRPSINFO_SIZE, c->p->kernel->source->image.big, true);
	put_u8(&to, 0);
	put_u8(&to, (uint8_t)(c->p->num_threads ? c->p->threads[0].state : 'R'));
	put_zeros(&to, 22);
	put_u32(&to, (uint32_t)c->p->pid);
	put_zeros(&to, 12);
	put_bytes(&to, c->p->name, 15);
	put_u8(&to, 0);
	put_bytes(&to, c->p->args, PROCESS_ARGS - 1);
	return true;
}

/* NT_FILE: which mappings are of which file */
static bool process_add_files(struct process_core *c)
{
	const struct process *p = c->p;
	const uint32_t page_size = p->kernel->source->image.page_size;
	size_t len = 16, num = 0;
	CLEANUP_FREE unsigned char *buf = NULL;
	struct cursor to;

	for (size_t i = 0; i < p->num_maps; i++) {
		num += p->maps[i].path != NULL;
		len += p->maps[i].path ? 24 + strlen(p->maps[i].path) + 1 : 0;
	}
	if (!num)
		return true;
	buf = calloc(1, len);
	if (!buf)
		return false;
	to = cursor_init(buf, len, p->kernel->source->image.big, true);
	put_u64(&to, num);
	put_u64(&to, page_size);
	for (size_t i = 0; i < p->num_maps; i++) {
		if (!p->maps[i].path)
			continue;
		put_u64(&to, p->maps[i].start);
		put_u64(&to, p->maps[i].end);
		put_u64(&to, p->maps[i].offset / page_size);
	}
	for (size_t i = 0; i < p->num_maps; i++) {
		if (p->maps[i].path)
			put_bytes(&to, p->maps[i].path, strlen(p->maps[i].path) + 1);
	}
	return process_add_note(c, NT_FILE, buf, len);
}

/* The first thread comes first: debuggers take the others for its own. */
static bool process_add_notes(struct process_core *c)
{
	const struct process *p = c->p;
	bool good = !p->num_threads || process_add_thread(c, &p->threads[0]);

	good = good && process_add_psinfo(c);
	good = good && (!p->auxv_len || process_add_note(c, NT_AUXV, p->auxv, p->auxv_len));
	good = good && process_add_files(c);
	for (size_t i = 1; good && i < p->num_threads; i++)
		good = process_add_thread(c, &p->threads[i]);
	return good;
}

/* Segments ------------------------------------------------------------------ */

/* How many bytes from @vaddr on, up to @end, are all in the dump, or all not */
static uint64_t process_run(struct process_core *c, uint64_t vaddr, uint64_t end, bool *there)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;
	const uint32_t page_size = c->p->kernel->source->image.page_size;
	uint64_t paddr, len;

	c->steps++;
	*there = walker_translate(&c->p->walker, vaddr, &paddr, &len);
	len = MIN(len, end - vaddr);
	if (!*there)
		return len;
	/* the pages of a large one may be omitted one by one */
	len = MIN(len, page_size - vaddr % page_size);
	err = source_has(c->p->kernel->source, paddr, (size_t)len);
	*there = !err;
	return len;
}

static struct gdump_error *process_add_segment(struct process_core *c, const struct process_segment *s)
{
	if (c->num_segments == MAX_SEGMENTS)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the memory of process %d is in more pieces than an ELF core of a process can have",
				 c->p->pid);
	if (!ARRAY_GROW(c->segments, c->num_segments))
		return error_nomem();
	c->segments[c->num_segments++] = *s;
	return NULL;
}

static struct gdump_error *process_add_segments(struct process_core *c, const struct process_map *m)
{
	const bool device = m->flags & (FLAG_PFNMAP | FLAG_IO);
	struct process_segment s = { .vaddr = m->start };
	struct gdump_error *err = NULL;

	s.flags = (m->flags & FLAG_READ ? PF_R : 0) | (m->flags & FLAG_WRITE ? PF_W : 0) |
		  (m->flags & FLAG_EXEC ? PF_X : 0);
	for (uint64_t at = m->start, len; !err && at < m->end; at += len) {
		bool there = false;

		len = device ? m->end - at : process_run(c, at, m->end, &there);
		if (there && s.memsz > s.filesz) {
			err = process_add_segment(c, &s);
			s.vaddr = at;
			s.filesz = s.memsz = 0;
		}
		s.memsz += len;
		if (there)
			s.filesz = s.memsz;
		c->pages += there;
		/* tables may lead to the same pages again and again */
		if (c->pages > c->max_pages || c->steps > MAX_STEPS)
			return error_new(GDUMP_ERR_CORRUPT, "the page tables of process %d map more than there can be",
					 c->p->pid);
	}
	return err ? err : process_add_segment(c, &s);
}

/* The file ------------------------------------------------------------------ */

static void process_put_header(const struct process_core *c, struct cursor *to)
{
	const struct image *image = &c->p->kernel->source->image;
	const unsigned char ident[EI_NIDENT] = {
		ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
		image->big ? ELFDATA2MSB : ELFDATA2LSB, EV_CURRENT,
	};

	put_bytes(to, ident, sizeof(ident));
	put_u16(to, ET_CORE);
	put_u16(to, image->machine);
	put_u32(to, EV_CURRENT);
	put_u64(to, 0);                                 /* e_entry */
	put_u64(to, sizeof(Elf64_Ehdr));                /* e_phoff */
	put_u64(to, 0);                                 /* e_shoff */
	put_u32(to, 0);                                 /* e_flags */
	put_u16(to, sizeof(Elf64_Ehdr));
	put_u16(to, sizeof(Elf64_Phdr));
	put_u16(to, (uint16_t)(1 + c->num_segments));
	put_zeros(to, 6);                               /* there are no sections */
}

static void process_put_phdr(struct cursor *to, uint32_t type, uint64_t align,
			     const struct process_segment *s)
{
	put_u32(to, type);
	put_u32(to, s->flags);
	put_u64(to, s->off);
	put_u64(to, s->vaddr);
	put_u64(to, 0);                                 /* p_paddr */
	put_u64(to, s->filesz);
	put_u64(to, s->memsz);
	put_u64(to, align);
}

/* Write all in front of memory; @size becomes that of the file. */
static struct gdump_error *process_write_head(struct process_core *c, uint64_t *size)
{
	const size_t phdrs = sizeof(Elf64_Ehdr) + (1 + c->num_segments) * sizeof(Elf64_Phdr);
	const size_t len = phdrs + c->notes_len;
	CLEANUP_FREE unsigned char *buf = malloc(len);
	struct process_segment note = { .off = phdrs, .filesz = c->notes_len };
	struct cursor to = cursor_init(buf, len, c->p->kernel->source->image.big, true);

	if (!buf)
		return error_nomem();
	*size = round_up(len, PAGE);
	for (size_t i = 0; i < c->num_segments; i++) {
		c->segments[i].off = *size;
		*size += c->segments[i].filesz;
	}
	process_put_header(c, &to);
	process_put_phdr(&to, PT_NOTE, 4, &note);
	for (size_t i = 0; i < c->num_segments; i++)
		process_put_phdr(&to, PT_LOAD, PAGE, &c->segments[i]);
	put_bytes(&to, c->notes, c->notes_len);
	return sink_write(c->sink, 0, buf, len);
}

/* Memory of a running guest may have gone since: then it is zero, and counted. */
static struct gdump_error *process_write_memory(struct process_core *c, const struct process_segment *s,
						struct gdump_process *result)
{
	CLEANUP_FREE unsigned char *buf = malloc(PIECE);
	struct gdump_error *err = buf ? NULL : error_nomem();

	for (uint64_t done = 0; !err && done < s->filesz;) {
		const size_t len = (size_t)MIN(s->filesz - done, (uint64_t)PIECE);
		struct gdump_error *lost = walker_read(&c->p->walker, s->vaddr + done, buf, len);

		if (lost) {
			memset(buf, 0, len);
			result->lost += len;
			gdump_error_destroy(lost);
		}
		err = sink_write(c->sink, s->off + done, buf, len);
		done += len;
	}
	return err;
}

static void process_count(const struct process_core *c, struct gdump_process *result)
{
	const struct process *p = c->p;

	memcpy(result->name, p->name, sizeof(result->name));
	result->maps = p->num_maps;
	result->threads = p->num_threads;
	for (size_t i = 0; i < p->num_threads; i++)
		result->lost_threads += !p->threads[i].has_regs;
	for (size_t i = 0; i < c->num_segments; i++) {
		result->bytes += c->segments[i].filesz;
		result->absent += c->segments[i].memsz - c->segments[i].filesz;
	}
}

struct gdump_error *process_core_write(struct process *p, struct sink *sink,
				       struct gdump_process *result, uint64_t *size)
{
	const struct image *image = &p->kernel->source->image;
	struct process_core c = { .p = p, .sink = sink };
	struct gdump_error *err = NULL;

	for (size_t i = 0; i < image->num_ranges; i++)
		c.max_pages += image->ranges[i].size / image->page_size;
	c.max_pages = 2 * c.max_pages + SPARE_PAGES;
	for (size_t i = 0; !err && i < p->num_maps; i++)
		err = process_add_segments(&c, &p->maps[i]);
	if (!err && !process_add_notes(&c))
		err = error_nomem();
	if (!err)
		err = process_write_head(&c, size);
	for (size_t i = 0; !err && i < c.num_segments; i++)
		err = process_write_memory(&c, &c.segments[i], result);
	if (!err)
		process_count(&c, result);
	free(c.segments);
	free(c.notes);
	return err;
}

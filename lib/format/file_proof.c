/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/file_proof.c - whether headers name all bytes of their file, once
 *
 * An ELF core has nothing that proves its program headers, nor has a raw file for its ranges.
 * But one that was lost or changed leaves bytes that none names, or two that name the same bytes
 * or the same memory.
 * QEMU's paging repeats memory under several virtual addresses: the same bytes at the same
 * address are fine.  So are zeros, since writers pad.
 */
#include "file_proof.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { PROOF_CHUNK = 65536, PROOF_FOOTER = 64 };

void file_proof_deinit(struct file_proof *p)
{
	pieces_deinit(&p->named);
	pieces_deinit(&p->heads);
	pieces_deinit(&p->loads);
}

struct gdump_error *file_proof_name(struct file_proof *p, uint64_t size, uint64_t off)
{
	return size ? pieces_add(&p->named, 0, size, off) : NULL;
}

struct gdump_error *file_proof_add(struct file_proof *p, bool is_load, uint64_t paddr,
				  uint64_t size, uint64_t off)
{
	struct gdump_error *err;

	if (!size)
		return NULL;
	err = is_load ? pieces_add(&p->loads, paddr, size, off) : pieces_add(&p->heads, 0, size, off);
	return err ? err : file_proof_name(p, size, off);
}

static int file_piece_by_off(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

static int file_piece_by_paddr(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

/* Whether our checksum is at the end: it proves every byte. */
static bool file_has_checksum(struct bytes *in)
{
	char name[8] = "";
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (in->size < PROOF_FOOTER)
		return false;
	err = bytes_read(in, in->size - PROOF_FOOTER, name, sizeof(name));
	return !err && !memcmp(name, "GDUMPSUM", sizeof(name));
}

/* Fail unless [@off, @end), which no header names, is zero. */
static struct gdump_error *file_check_unnamed(const struct file_proof *p, struct bytes *in,
					      uint64_t off, uint64_t end)
{
	CLEANUP_FREE unsigned char *buf = malloc(PROOF_CHUNK);
	struct gdump_error *err = buf ? NULL : error_nomem();

	for (uint64_t n; !err && off < end; off += n) {
		n = bytes_hole(in, off, end - off);
		if (n)
			continue;
		n = MIN(end - off, PROOF_CHUNK);
		err = bytes_read(in, off, buf, (size_t)n);
		for (uint64_t i = 0; !err && i < n; i++) {
			if (buf[i])
				err = error_new(GDUMP_ERR_CORRUPT,
						"%s: none of them names the data at offset 0x%" PRIx64,
						p->what, off + i);
		}
	}
	return err;
}

static struct gdump_error *file_check_all_named(struct file_proof *p, struct bytes *in)
{
	struct gdump_error *err = NULL;
	uint64_t end = 0;

	qsort(p->named.list, p->named.num, sizeof(*p->named.list), file_piece_by_off);
	for (size_t i = 0; !err && i < p->named.num; i++) {
		const struct piece *x = &p->named.list[i];

		if (x->off > end)
			err = file_check_unnamed(p, in, end, MIN(x->off, in->size));
		end = MAX(end, x->off + x->size);
	}
	return err || end >= in->size ? err : file_check_unnamed(p, in, end, in->size);
}

/* Fail if two segments have the same bytes of the file at different addresses. */
static struct gdump_error *file_check_shared_bytes(struct file_proof *p)
{
	const struct piece *last = NULL;

	if (p->loads.num)
		qsort(p->loads.list, p->loads.num, sizeof(*p->loads.list), file_piece_by_off);
	for (size_t i = 0; i < p->loads.num; i++) {
		const struct piece *x = &p->loads.list[i];

		if (last && x->off < last->off + last->size && x->paddr - x->off != last->paddr - last->off)
			return error_new(GDUMP_ERR_CORRUPT,
					 "%s: memory at 0x%" PRIx64 " and at 0x%" PRIx64 " has the same data at offset 0x%" PRIx64,
					 p->what, last->paddr + (x->off - last->off), x->paddr, x->off);
		if (!last || x->off + x->size > last->off + last->size)
			last = x;
	}
	return NULL;
}

/* Fail if a segment has bytes of headers or notes as memory: go through both in the order of
 * the file, and remember how far each has come.
 */
static struct gdump_error *file_check_heads(struct file_proof *p)
{
	uint64_t load_end = 0, head_end = 0;
	size_t i = 0, k = 0;

	if (p->heads.num)
		qsort(p->heads.list, p->heads.num, sizeof(*p->heads.list), file_piece_by_off);
	while (i < p->loads.num || k < p->heads.num) {
		const struct piece *load = i < p->loads.num ? &p->loads.list[i] : NULL;
		const struct piece *head = k < p->heads.num ? &p->heads.list[k] : NULL;
		const bool is_load = load && (!head || load->off < head->off);
		const uint64_t off = is_load ? load->off : head->off;

		if (off < (is_load ? head_end : load_end))
			return error_new(GDUMP_ERR_CORRUPT,
					 "%s: one has headers or notes, at offset 0x%" PRIx64 ", as memory",
					 p->what, off);
		if (is_load)
			load_end = MAX(load_end, load->off + load->size), i++;
		else
			head_end = MAX(head_end, head->off + head->size), k++;
	}
	return NULL;
}

/* Fail unless the @len bytes at two places of the file are the same. */
static struct gdump_error *file_check_same(const struct file_proof *p, struct bytes *in, uint64_t a,
					   uint64_t b, uint64_t len, uint64_t paddr)
{
	CLEANUP_FREE unsigned char *buf = malloc(2 * PROOF_CHUNK);
	struct gdump_error *err = buf ? NULL : error_nomem();

	for (uint64_t done = 0, n; !err && done < len; done += n) {
		n = MIN(len - done, PROOF_CHUNK);
		err = bytes_read(in, a + done, buf, (size_t)n);
		if (!err)
			err = bytes_read(in, b + done, buf + PROOF_CHUNK, (size_t)n);
		if (!err && memcmp(buf, buf + PROOF_CHUNK, (size_t)n))
			err = error_new(GDUMP_ERR_CORRUPT,
					"%s: two have memory at 0x%" PRIx64 ", with different contents",
					p->what, paddr + done);
	}
	return err;
}

static struct gdump_error *file_check_overlaps(struct file_proof *p, struct bytes *in)
{
	struct gdump_error *err = NULL;
	const struct piece *last = NULL;

	if (p->loads.num)
		qsort(p->loads.list, p->loads.num, sizeof(*p->loads.list), file_piece_by_paddr);
	for (size_t i = 0; !err && i < p->loads.num; i++) {
		const struct piece *x = &p->loads.list[i];
		const uint64_t skip = last ? x->paddr - last->paddr : 0;

		if (last && skip < last->size && x->off != last->off + skip)
			err = file_check_same(p, in, last->off + skip, x->off,
					      MIN(last->size - skip, x->size), x->paddr);
		if (!last || skip >= last->size || x->size > last->size - skip)
			last = x;
	}
	return err;
}

/* Of a flattened file */
static struct gdump_error *file_check_written(const struct file_proof *p, struct bytes *in)
{
	for (size_t i = 0; i < p->loads.num; i++) {
		const struct piece *x = &p->loads.list[i];

		if (!bytes_written(in, x->off, x->size))
			return error_new(GDUMP_ERR_CORRUPT,
					 "flattened file: no record, or two, have some of the memory from 0x%" PRIx64 " on, %" PRIu64 " bytes at offset 0x%" PRIx64,
					 x->paddr, x->size, x->off);
	}
	return NULL;
}

struct gdump_error *file_proof_check(struct file_proof *p, struct bytes *in)
{
	struct gdump_error *err = file_check_shared_bytes(p);

	if (!err)
		err = file_check_heads(p);
	if (!err)
		err = file_check_overlaps(p, in);
	if (!err)
		err = file_check_written(p, in);
	if (err || file_has_checksum(in))
		return err;
	return file_check_all_named(p, in);
}

/* Add the memory of a load whose bytes are @broken. */
static struct gdump_error *file_affected_load(const struct piece *x, const struct spans *broken,
					     struct damage *to)
{
	for (size_t i = spans_from(broken, x->off); i < broken->num; i++) {
		const struct span *b = &broken->list[i];
		const uint64_t skip = b->start > x->off ? b->start - x->off : 0;

		if (skip >= x->size)
			break;
		if (!spans_add(&to->memory, x->paddr + skip,
			       MIN(x->size, b->start + b->size - x->off) - skip))
			return error_nomem();
	}
	return NULL;
}

struct gdump_error *file_proof_affected(const struct file_proof *p, const struct spans *broken,
				       struct damage *to)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; i < p->heads.num; i++)
		to->tables |= spans_touch(broken, p->heads.list[i].off, p->heads.list[i].size);
	for (size_t i = 0; !err && i < p->loads.num; i++)
		err = file_affected_load(&p->loads.list[i], broken, to);
	return err;
}

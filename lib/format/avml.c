/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/avml.c - AVML, version 2: what Microsoft's acquisition tool writes
 *
 *     { header, snappy frames, u64 length of the frames } ...
 *
 * The header is in lime.h; frames are those of snappy's framing_format.txt:
 *
 *     u8 type, u24 length, then for data: u32 masked CRC-32C of the decompressed
 *     bytes, at most 65536 of them, compressed (type 0) or as they are (type 1)
 *
 * Frames are found when the file is opened, by reading only their headers, and decompressed
 * when memory is read.  AVML omits blocks of zeros, so there are more ranges than the machine
 * had.  Versions 0.16.0 to 0.17.0 instead wrote the header of such a block with nothing after
 * it.  Its uncompressed files are LiME's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../codec/codec.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/crc32c.h"
#include "../util/cursor.h"
#include "../util/span.h"
#include "format.h"
#include "lime.h"
#include "pieces_source.h"

enum {
	FRAME_HEADER = 4,
	FRAME_CRC = 4,
	MAX_FRAME = 65536,              /* decompressed                         */
	MAX_VARINT = 3,                 /* bytes of a length up to MAX_FRAME    */
	FRAME_COMPRESSED = 0x00,
	FRAME_PLAIN = 0x01,
	FRAME_RESERVED = 0x02,          /* from here to FRAME_SKIPPED: an error */
	FRAME_SKIPPED = 0x80,           /* from here on                         */
	TRAILER_SIZE = 8,
};

/* An open file is a struct pieces_source whose pieces are frames: ->off is the offset of a
 * frame's header, ->size its size when decompressed.  A block of zeros has no frame.
 */

struct avml_frame {
	uint8_t type;
	uint32_t len;                   /* after the header                    */
	uint32_t crc;
	uint32_t size;                  /* decompressed; 0: no data             */
};

static bool avml_probe(const unsigned char *head, size_t len)
{
	return len >= 4 && !memcmp(head, "AVML", 4);
}

static struct gdump_error *avml_bad_frame(uint64_t off, const char *what, uint64_t value)
{
	return error_new(GDUMP_ERR_CORRUPT, "snappy frame at offset 0x%" PRIx64 ": %s 0x%" PRIx64,
			 off, what, value);
}

/* The length in front of snappy's data: 7 bits per byte, the lowest first. */
static uint32_t avml_get_varint(struct cursor *c)
{
	uint32_t n = 0;

	for (unsigned int i = 0; i < MAX_VARINT; i++) {
		const uint8_t byte = get_u8(c);

		n |= (byte & 0x7fu) << 7 * i;
		if (!(byte & 0x80))
			return n;
	}
	return UINT32_MAX;
}

/* Parse the header of a frame; @buf may be shorter than the frame. */
static struct gdump_error *avml_parse_frame(const unsigned char *buf, size_t len, uint64_t off,
					    struct avml_frame *f)
{
	struct cursor c = cursor_init(buf, len, false, true);

	f->type = get_u8(&c);
	f->len = (uint32_t)get_uint(&c, 3);
	f->size = 0;
	if (f->type >= FRAME_SKIPPED)
		return NULL;
	if (f->type >= FRAME_RESERVED)
		return avml_bad_frame(off, "unknown type", f->type);
	if (f->len <= FRAME_CRC)
		return avml_bad_frame(off, "invalid length", f->len);
	f->crc = get_u32(&c);
	f->size = f->type == FRAME_PLAIN ? f->len - FRAME_CRC : avml_get_varint(&c);
	if (f->size > MAX_FRAME)
		return avml_bad_frame(off, "invalid decompressed size", f->size);
	return NULL;
}

/* Add the frame at @off to the index; @f->len 0 and ->incomplete: cut short. */
static struct gdump_error *avml_index_frame(struct pieces_source *a, uint64_t off, uint64_t paddr,
					    uint64_t room, struct avml_frame *f)
{
	unsigned char buf[FRAME_HEADER + FRAME_CRC + MAX_VARINT] = { 0 };
	const size_t len = (size_t)MIN(sizeof(buf), a->in->size - off);
	struct gdump_error *err = NULL;

	*f = (struct avml_frame){ 0 };
	if (len >= FRAME_HEADER)
		err = bytes_read(a->in, off, buf, len);
	if (!err && len >= FRAME_HEADER)
		err = avml_parse_frame(buf, sizeof(buf), off, f);
	if (err)
		return err;
	if (len < FRAME_HEADER || !range_fits(off + FRAME_HEADER, f->len, a->in->size)) {
		a->source.image.incomplete = true;
		return NULL;
	}
	if (f->size > room)
		return avml_bad_frame(off,
				      "its record ends before its decompressed size of", f->size);
	return f->size ? pieces_add(&a->pieces, paddr, f->size, off) : NULL;
}

static struct gdump_error *avml_check_trailer(struct pieces_source *a, uint64_t off, uint64_t want)
{
	unsigned char buf[TRAILER_SIZE];
	struct gdump_error *err;
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	uint64_t len;

	if (a->source.image.incomplete)
		return NULL;
	if (!range_fits(off, TRAILER_SIZE, a->in->size)) {
		a->source.image.incomplete = true;
		return NULL;
	}
	err = bytes_read(a->in, off, buf, sizeof(buf));
	if (err)
		return err;
	len = get_u64(&c);
	if (len != want)
		return error_new(GDUMP_ERR_CORRUPT,
				 "trailer at offset 0x%" PRIx64 ": it says %" PRIu64 " bytes of frames, but there are %" PRIu64,
				 off, len, want);
	return NULL;
}

/* Whether another record begins at @off, where the frames of one should: no frame has this
 * type.
 */
static bool avml_is_zero_block(struct pieces_source *a, uint64_t off)
{
	struct lime_record next;
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (!range_fits(off, LIME_HEADER_SIZE, a->in->size))
		return false;
	err = lime_get_record(a->in, off, AVML_MAGIC, 2, &next);
	return !err;
}

/* Add the frames of one record to the index; @off moves to the next record. */
static struct gdump_error *avml_index_record(struct pieces_source *a, uint64_t *off)
{
	struct image *image = &a->source.image;
	struct lime_record r;
	struct gdump_error *err;
	struct avml_frame f;
	uint64_t begin, done = 0;

	if (a->in->size - *off < LIME_HEADER_SIZE) {
		image->incomplete = true;
		return NULL;
	}
	err = lime_get_record(a->in, *off, AVML_MAGIC, 2, &r);
	if (err)
		return err;
	begin = *off += LIME_HEADER_SIZE;
	err = image_add_range(image, r.paddr, r.size, GDUMP_RANGE_RAM);
	if (!err && avml_is_zero_block(a, begin))
		return pieces_add(&a->pieces, r.paddr, r.size, PIECE_ZERO);
	while (!err && done < r.size && !image->incomplete) {
		err = avml_index_frame(a, *off, r.paddr + done, r.size - done, &f);
		*off += FRAME_HEADER + f.len;
		done += f.size;
	}
	if (!err)
		err = avml_check_trailer(a, *off, *off - begin);
	*off += TRAILER_SIZE;
	return err;
}

static struct gdump_error *avml_index_file(struct pieces_source *a)
{
	struct image *image = &a->source.image;
	struct gdump_error *err = NULL;
	uint64_t off = 0;

	while (!err && !image->incomplete && off < a->in->size)
		err = avml_index_record(a, &off);
	if (err)
		return err;
	if (!pieces_sort(&a->pieces))
		return error_new(GDUMP_ERR_CORRUPT, "two records contain the same memory");
	return NULL;
}

static uint32_t avml_unmask(uint32_t crc)
{
	crc -= 0xa282ead8;
	return crc >> 17 | crc << 15;
}

/* Decompress one frame into @out, which has room for it; @buf is scratch space. */
static struct gdump_error *avml_decompress_frame(struct pieces_source *a, const struct piece *x,
						 unsigned char *buf, unsigned char *out)
{
	unsigned char head[FRAME_HEADER + FRAME_CRC];
	struct gdump_error *err = bytes_read(a->in, x->off, head, sizeof(head));
	struct cursor c = cursor_init(head, sizeof(head), false, true);
	const uint8_t type = get_u8(&c);
	const size_t len = (size_t)get_uint(&c, 3) - FRAME_CRC;
	const uint32_t crc = get_u32(&c);

	/* avml_index_frame() checked this, but the file may have changed since */
	if (!err && (type > FRAME_PLAIN || len > 2 * MAX_FRAME || (type && len != x->size)))
		return avml_bad_frame(x->off, "the file changed while it was read: type", type);
	if (!err)
		err = bytes_read(a->in, x->off + sizeof(head), type ? out : buf, len);
	if (err)
		return err;
	if (!type && !codec_snappy.decompress(NULL, out, (size_t)x->size, buf, len))
		return avml_bad_frame(x->off, "it does not decompress to a size of", x->size);
	if (crc32c(out, (size_t)x->size) != avml_unmask(crc))
		return avml_bad_frame(x->off, "checksum mismatch: its bytes do not sum to", crc);
	return NULL;
}

static struct gdump_error *avml_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct pieces_source *a = (struct pieces_source *)s;
	CLEANUP_FREE unsigned char *space = malloc(3 * MAX_FRAME);
	const uint64_t first = paddr;
	unsigned char *p = buf, *out;
	struct gdump_error *err;
	bool some = false;

	if (!space)
		return error_nomem();
	out = space + 2 * MAX_FRAME;
	for (size_t i = pieces_after(&a->pieces, paddr); len && i < a->pieces.num; i++) {
		const struct piece *x = &a->pieces.list[i];
		const struct span_step step = span_step(x->paddr, x->size, paddr, len);

		memset(p, 0, step.gap);
		p += step.gap, paddr += step.gap, len -= step.gap;
		if (!step.len)
			break;
		err = x->off != PIECE_ZERO ? avml_decompress_frame(a, x, space, out) : NULL;
		if (err)
			return error_prefix(err, "memory at 0x%" PRIx64, paddr);
		if (x->off != PIECE_ZERO)
			memcpy(p, out + step.skip, step.len);
		else
			memset(p, 0, step.len);
		p += step.len, paddr += step.len, len -= step.len;
		some = true;
	}
	memset(p, 0, len);
	return some ? NULL : error_new(GDUMP_ERR_NODATA,
				       "memory at 0x%" PRIx64 " is not in the dump",
				       first);
}

static struct gdump_error *avml_scan(struct source *s, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	struct pieces_source *a = (struct pieces_source *)s;

	(void)holes;                    /* there are none */
	pieces_scan(&a->pieces, NULL, s->image.page_size, pfn, num, state);
	return NULL;
}

static const struct source_ops avml_source_ops = {
	.name = "avml",
	.has_absent = true,
	.read = avml_read,
	.scan = avml_scan,
	.close = pieces_source_close,
};

static struct gdump_error *avml_read_all(struct pieces_source *a)
{
	struct image *image = &a->source.image;
	struct gdump_error *err;

	image->is64 = true;
	if (!codec_snappy.decompress)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "AVML files are compressed with snappy, which this build does not have");
	err = avml_index_file(a);
	if (!err)
		err = image_seal(image);
	if (err)
		return error_prefix(err, "AVML");
	image->num_absent = pieces_absent(&a->pieces, image);
	snprintf(image->detail, sizeof(image->detail), "%sAVML, version 2", a->in->kind);
	return NULL;
}

static struct gdump_error *avml_open(struct bytes *in, struct source **ret)
{
	struct pieces_source *a = pieces_source_create(sizeof(*a), &avml_source_ops, in);
	struct gdump_error *err = a ? avml_read_all(a) : error_nomem();

	return pieces_source_opened(a, err, ret);
}

const struct format format_avml = {
	.name = "avml",
	.summary = "AVML, compressed with snappy; its uncompressed files are lime",
	.probe = avml_probe,
	.open = avml_open,
};

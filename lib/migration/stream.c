/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migration/stream.c - QEMU's migration stream
 *
 * Theory of operation.  A stream is a file header, an optional CONFIGURATION,
 * and sections, each ended by a footer with its number.  The RAM is one of them:
 * START brings the list of blocks, PARTs and the END bring pages.  A background
 * snapshot has no END: there the RAM is complete when, behind a PART, the devices
 * begin.  Other sections may come between; they carry no length, so they are
 * skipped by looking for their footer with something sensible behind it.
 *
 * The bytes go through one buffer of 1 MiB that is filled by large reads; what is
 * looked at lies in it in one piece, so a page costs no copy and no allocation.
 * take() is the only way to bytes.  It makes the end of the stream an error too,
 * but raises ->ended: migration_run() forgives that one behind the list of blocks.
 */
#include "stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum {
	BUF_SIZE = 1 << 20,
	MAX_BLOCKS = 4096,
	MAX_CAPABILITIES = 256,
	MIN_PAGE_BITS = 10,
	MAX_PAGE_BITS = 16,
	LOOK_AHEAD = 16,                /* bytes needed to judge a footer       */
};

/* Of all blocks, and so of what is kept about them */
static const uint64_t max_memory = (uint64_t)1 << 44;

static const unsigned char magic[] = { 'Q', 'E', 'V', 'M' };

/* Low bits of an item's word in the RAM section */
enum {
	RAM_FULL          = 0x01,
	RAM_ZERO          = 0x02,
	RAM_MEM_SIZE      = 0x04,
	RAM_PAGE          = 0x08,
	RAM_EOS           = 0x10,
	RAM_CONTINUE      = 0x20,
	RAM_XBZRLE        = 0x40,
	RAM_HOOK          = 0x80,
	RAM_COMPRESS_PAGE = 0x100,
	RAM_MULTIFD_FLUSH = 0x200,
};

uint64_t migration_pos(const struct migration *m)
{
	return m->base + m->head;
}

const unsigned char *migration_ahead(const struct migration *m, size_t *len)
{
	*len = m->tail - m->head;
	return m->buf + m->head;
}

static struct gdump_error *corrupt(const struct migration *m, const char *fmt, const char *what)
{
	struct gdump_error *err = error_new(GDUMP_ERR_CORRUPT, fmt, what);

	return error_prefix(err, "migration stream at offset %" PRIu64, migration_pos(m));
}

static struct gdump_error *unsupported(const struct migration *m, const char *why)
{
	return error_prefix(error_new(GDUMP_ERR_UNSUPPORTED, "%s", why),
			    "migration stream at offset %" PRIu64, migration_pos(m));
}

/* Have @n bytes in the buffer, or as many as there are. */
static struct gdump_error *fill(struct migration *m, size_t n)
{
	struct gdump_error *err = NULL;
	size_t got = 1;

	if (m->tail - m->head >= n)
		return NULL;
	memmove(m->buf, m->buf + m->head, m->tail - m->head);
	m->base += m->head;
	m->tail -= m->head;
	m->head = 0;
	while (!err && got && m->tail < n) {
		err = m->reader->read(m->reader, m->buf + m->tail, BUF_SIZE - m->tail, &got);
		if (!err)
			m->tail += got;
	}
	return err;
}

static struct gdump_error *take(struct migration *m, size_t n, const unsigned char **ret)
{
	struct gdump_error *err = fill(m, n);

	if (err)
		return err;
	*ret = m->buf + m->head;
	if (m->tail - m->head < n) {
		m->ended = true;
		return corrupt(m, "%s", "the file ends here, in the middle");
	}
	m->head += n;
	return NULL;
}

static struct gdump_error *take_u8(struct migration *m, uint8_t *ret)
{
	const unsigned char *p;
	struct gdump_error *err = take(m, 1, &p);

	if (!err)
		*ret = *p;
	return err;
}

static struct gdump_error *take_u32(struct migration *m, uint32_t *ret)
{
	const unsigned char *p;
	struct gdump_error *err = take(m, 4, &p);

	if (!err)
		*ret = load_be32(p);
	return err;
}

static struct gdump_error *take_u64(struct migration *m, uint64_t *ret)
{
	const unsigned char *p;
	struct gdump_error *err = take(m, 8, &p);

	if (!err)
		*ret = load_be64(p);
	return err;
}

static bool is_name(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] < ' ' || p[i] > '~')
			return false;
	}
	return len > 0;
}

/* A byte of length and as many characters; @name has room for 256. */
static struct gdump_error *take_name(struct migration *m, char *name)
{
	struct gdump_error *err;
	const unsigned char *p;
	uint8_t len = 0;

	err = take_u8(m, &len);
	if (!err)
		err = take(m, len, &p);
	if (err)
		return err;
	if (!is_name(p, len))
		return corrupt(m, "%s", "a name was expected in front of this place");
	memcpy(name, p, len);
	name[len] = 0;
	return NULL;
}

/* Blocks ------------------------------------------------------------------ */

static struct gdump_error *seek(struct migration *m, uint64_t pos)
{
	struct gdump_error *err = NULL;

	if (pos < migration_pos(m))
		return corrupt(m, "%s", "the place of a block's pages is in front of its header");
	if (pos - m->base <= m->tail) {
		m->head = (size_t)(pos - m->base);
		return NULL;
	}
	if (!m->reader->seek)
		return unsupported(m, "a stream with mapped-ram cannot come through a pipe");
	err = m->reader->seek(m->reader, pos);
	m->head = m->tail = 0;
	m->base = pos;
	return err;
}

/* mapped-ram: a header of 28 bytes, a bitmap, and behind it the pages. */
static struct gdump_error *take_mapped(struct migration *m, struct migration_block *b)
{
	const unsigned char *p;
	struct gdump_error *err = take(m, 28, &p);
	const uint64_t pages = b->size / m->page_size;

	if (err)
		return err;
	b->bitmap_off = load_be64(p + 12);
	b->pages_off = load_be64(p + 20);
	if (load_be32(p) != 1)
		return unsupported(m, "the mapped-ram header is not of version 1");
	if (load_be64(p + 4) != m->page_size)
		return corrupt(m, "%s", "the mapped-ram header has another page size");
	if (b->pages_off < b->bitmap_off ||
	    b->pages_off - b->bitmap_off < div_up(pages, 64) * 8 ||
	    b->bitmap_off < migration_pos(m) || b->pages_off > INT64_MAX - b->size)
		return corrupt(m, "%s", "the mapped-ram header contradicts itself");
	return seek(m, b->pages_off + b->size);
}

/* With postcopy a block of huge pages has their size here, and nothing tells which
 * blocks that is.  But else a name's length or a page's address would be here, and
 * those are no power of two with this many zeros.
 */
static struct gdump_error *take_huge_size(struct migration *m)
{
	struct gdump_error *err;
	uint64_t v;

	if (!m->postcopy || m->ignore_shared)
		return NULL;
	err = fill(m, 8);
	if (err || m->tail - m->head < 8)
		return err;
	v = load_be64(m->buf + m->head);
	if (is_power_of_2(v) && v >= 1 << 12 && v < (uint64_t)1 << 56)
		m->head += 8;
	return NULL;
}

/* Where block @name is in m->order, or should be. */
static bool find_block(const struct migration *m, const char *name, size_t *ret)
{
	size_t lo = 0, hi = m->num_blocks;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int cmp = strcmp(name, m->blocks[m->order[mid]].name);

		*ret = mid;
		if (!cmp)
			return true;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	*ret = lo;
	return false;
}

static struct gdump_error *take_block(struct migration *m, uint64_t left)
{
	struct migration_block *b = &m->blocks[m->num_blocks];
	struct gdump_error *err;
	const unsigned char *p;
	size_t i;

	*b = (struct migration_block){ 0 };
	err = take_name(m, b->name);
	if (!err)
		err = take_u64(m, &b->size);
	if (err)
		return err;
	if (!b->size || b->size > left || b->size % m->page_size)
		return corrupt(m, "the size of memory block '%s' does not fit the sum of all",
			       b->name);
	if (find_block(m, b->name, &i))
		return corrupt(m, "there are two memory blocks '%s'", b->name);
	memmove(m->order + i + 1, m->order + i, (m->num_blocks - i) * sizeof(*m->order));
	m->order[i] = (uint32_t)m->num_blocks++;
	err = take_huge_size(m);
	if (!err && m->ignore_shared)
		err = take(m, 8, &p);
	if (!err && m->mapped_ram)
		err = take_mapped(m, b);
	return err;
}

static struct gdump_error *make_room(struct migration *m)
{
	const size_t num = m->num_blocks ? 2 * m->num_blocks : 16;
	struct migration_block *blocks;
	uint32_t *order;

	if (m->num_blocks == MAX_BLOCKS)
		return corrupt(m, "%s", "too many memory blocks");
	if (m->num_blocks && (m->num_blocks < 16 || !is_power_of_2(m->num_blocks)))
		return NULL;
	blocks = realloc(m->blocks, num * sizeof(*blocks));
	if (!blocks)
		return error_nomem();
	m->blocks = blocks;
	order = realloc(m->order, num * sizeof(*order));
	if (!order)
		return error_nomem();
	m->order = order;
	return NULL;
}

static struct gdump_error *take_blocks(struct migration *m, uint64_t total)
{
	struct gdump_error *err = NULL;

	if (m->blocks)
		return corrupt(m, "%s", "a second list of memory blocks");
	if (!total || total > max_memory)
		return corrupt(m, "%s", "the list of memory blocks claims an impossible sum");
	while (!err && total) {
		err = make_room(m);
		if (!err)
			err = take_block(m, total);
		if (!err)
			total -= m->blocks[m->num_blocks - 1].size;
	}
	if (!err)
		err = m->events->blocks(m->events->arg, m);
	m->block_seen = !err;
	m->block = UINT32_MAX;
	return err;
}

/* Pages ------------------------------------------------------------------- */

static struct gdump_error *take_block_name(struct migration *m)
{
	char name[256];
	struct gdump_error *err = take_name(m, name);
	size_t i;

	if (err)
		return err;
	if (!find_block(m, name, &i))
		return corrupt(m, "memory block '%s' is not in the list", name);
	m->block = m->order[i];
	return NULL;
}

/* Packed data is little longer than a page at most. */
static struct gdump_error *take_packed_len(struct migration *m, uint32_t *len)
{
	struct gdump_error *err = take_u32(m, len);

	if (!err && (!*len || *len > m->page_size + m->page_size / 64 + 64))
		err = corrupt(m, "%s", "the length of a packed page makes no sense");
	return err;
}

static struct gdump_error *take_delta_len(struct migration *m, uint32_t *len)
{
	const unsigned char *p;
	struct gdump_error *err = take(m, 3, &p);

	if (err)
		return err;
	*len = load_be16(p + 1);
	if (p[0] != 1 || *len > m->page_size)
		return corrupt(m, "%s", "the header of an XBZRLE page makes no sense");
	return NULL;
}

static struct gdump_error *take_page(struct migration *m, uint32_t flags, uint64_t off)
{
	struct migration_page page = { .off = off };
	struct gdump_error *err = NULL;

	if (!m->block_seen)
		return corrupt(m, "%s", "a page in front of the list of memory blocks");
	if (!(flags & RAM_CONTINUE))
		err = take_block_name(m);
	else if (m->block == UINT32_MAX)
		err = corrupt(m, "%s", "the first page names no memory block");
	if (err)
		return err;
	page.block = m->block;
	if (off >= m->blocks[m->block].size)
		return corrupt(m, "a page is behind the end of memory block '%s'",
			       m->blocks[m->block].name);
	switch (flags & ~(uint32_t)RAM_CONTINUE) {
	case RAM_ZERO:
		page.kind = MIGRATION_FILL;
		err = take_u8(m, &page.fill);
		break;
	case RAM_PAGE:
		page.kind = MIGRATION_RAW;
		page.len = m->page_size;
		break;
	case RAM_COMPRESS_PAGE:
		page.kind = MIGRATION_ZLIB;
		err = take_packed_len(m, &page.len);
		break;
	case RAM_XBZRLE:
		page.kind = MIGRATION_XBZRLE;
		err = take_delta_len(m, &page.len);
		break;
	}
	page.pos = migration_pos(m);
	if (!err && page.len)
		err = take(m, page.len, &page.data);
	return err ? err : m->events->page(m->events->arg, &page);
}

static struct gdump_error *unknown_item(struct migration *m, uint64_t word, uint32_t flags)
{
	m->head -= 8;
	if (flags == RAM_HOOK)
		return unsupported(m, "the memory went another way, by RDMA");
	if (flags == RAM_MULTIFD_FLUSH)
		return unsupported(m, "the pages went through other channels (multifd), so they are not in this file; "
				   "save with multifd off, or with mapped-ram on");
	if (flags == RAM_FULL)
		return unsupported(m, "an obsolete way of sending memory");
	return error_prefix(error_new(GDUMP_ERR_CORRUPT, "0x%" PRIx64 " is no item of a RAM section",
				      word),
			    "migration stream at offset %" PRIu64, migration_pos(m));
}

/* What a START, PART or END of the RAM holds. */
static struct gdump_error *take_ram(struct migration *m)
{
	const uint64_t mask = m->page_size - 1;
	struct gdump_error *err = NULL;
	uint64_t word;

	while (!err) {
		uint32_t flags;

		err = take_u64(m, &word);
		if (err)
			break;
		flags = (uint32_t)(word & mask);
		switch (flags & ~(uint32_t)RAM_CONTINUE) {
		case RAM_EOS:
			return NULL;
		case RAM_MEM_SIZE:
			err = take_blocks(m, word & ~mask);
			break;
		case RAM_ZERO: case RAM_PAGE: case RAM_COMPRESS_PAGE: case RAM_XBZRLE:
			err = take_page(m, flags, word & ~mask);
			break;
		case RAM_MULTIFD_FLUSH:
			if (m->mapped_ram)      /* then every page has its place */
				break;
			/* fall through */
		default:
			err = unknown_item(m, word, flags);
		}
	}
	return err;
}

/* Sections ---------------------------------------------------------------- */

static struct gdump_error *take_page_bits(struct migration *m)
{
	uint32_t bits = 0;
	struct gdump_error *err = take_u32(m, &bits);

	if (!err && (bits < MIN_PAGE_BITS || bits > MAX_PAGE_BITS))
		err = corrupt(m, "%s", "the page size makes no sense");
	if (!err)
		m->page_size = (uint32_t)1 << bits;
	return err;
}

static struct gdump_error *take_capabilities(struct migration *m)
{
	uint32_t num = 0;
	struct gdump_error *err = take_u32(m, &num);
	char name[256];

	if (!err && num > MAX_CAPABILITIES)
		return corrupt(m, "%s", "too many migration capabilities");
	for (uint32_t i = 0; !err && i < num; i++) {
		err = take_name(m, name);
		if (err)
			return err;
		m->mapped_ram |= !strcmp(name, "mapped-ram");
		m->ignore_shared |= !strcmp(name, "x-ignore-shared");
	}
	return err;
}

static struct gdump_error *take_uuid(struct migration *m)
{
	const unsigned char *p;

	return take(m, 16, &p);
}

static const struct {
	const char *name;
	struct gdump_error *(*take)(struct migration *m);
} configuration_parts[] = {
	{ "configuration/target-page-bits", take_page_bits },
	{ "configuration/capabilities",     take_capabilities },
	{ "configuration/uuid",             take_uuid },
};

static struct gdump_error *take_configuration_part(struct migration *m)
{
	struct gdump_error *err;
	uint32_t version;
	char name[256];

	m->head++;
	err = take_name(m, name);
	if (!err)
		err = take_u32(m, &version);
	if (err)
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(configuration_parts); i++) {
		if (!strcmp(configuration_parts[i].name, name))
			return configuration_parts[i].take(m);
	}
	return error_prefix(error_new(GDUMP_ERR_UNSUPPORTED,
				      "the configuration has the part '%s', which guestdump does not know",
				      name),
			    "migration stream at offset %" PRIu64, migration_pos(m));
}

static struct gdump_error *take_configuration(struct migration *m)
{
	struct gdump_error *err;
	const unsigned char *p;
	uint32_t len = 0;

	err = take_u32(m, &len);
	if (!err && len >= sizeof(m->machine))
		err = corrupt(m, "%s", "the machine's name is too long");
	if (!err)
		err = take(m, len, &p);
	if (err)
		return err;
	if (!is_name(p, len))
		return corrupt(m, "%s", "the machine's name makes no sense");
	memcpy(m->machine, p, len);
	m->machine[len] = 0;
	do {
		err = fill(m, 1);
		if (err || m->tail == m->head || m->buf[m->head] != SECTION_SUBSECTION)
			return err;
		err = take_configuration_part(m);
	} while (!err);
	return err;
}

/* Commands to the receiving QEMU.  Those of postcopy tell it to ask the sender for
 * pages: no file can do that.
 */
static struct gdump_error *take_command(struct migration *m)
{
	enum { RETURN_PATH = 1, PING, POSTCOPY_ADVISE, SWITCHOVER_START = 11 };
	const unsigned char *p;
	struct gdump_error *err = take(m, 4, &p);
	uint16_t command;

	if (err)
		return err;
	command = load_be16(p);
	err = take(m, load_be16(p + 2), &p);
	if (err)
		return err;
	if (command == POSTCOPY_ADVISE)
		m->postcopy = true;
	else if (command != RETURN_PATH && command != PING && command != SWITCHOVER_START)
		return unsupported(m, "the memory is not all in the stream (postcopy or COLO)");
	return NULL;
}

/* Whether a section may begin with these bytes, of which there are at least
 * LOOK_AHEAD unless the stream ends before.
 */
static bool is_section(const unsigned char *p, size_t len)
{
	if (!len)
		return true;
	switch (p[0]) {
	case SECTION_EOF:
		return len < 2 || p[1] == SECTION_DESCRIPTION;
	case SECTION_START: case SECTION_FULL:
		return len >= 8 && p[5] && is_name(p + 6, MIN((size_t)p[5], len - 6));
	case SECTION_PART: case SECTION_END:
		return len >= 5 && !p[1] && !p[2];
	case SECTION_COMMAND:
		return len >= 5 && !p[1];
	default:
		return false;
	}
}

size_t migration_find_footer(const unsigned char *buf, size_t len, uint32_t id, bool at_end)
{
	const unsigned char want[4] = {
		(unsigned char)(id >> 24), (unsigned char)(id >> 16),
		(unsigned char)(id >> 8), (unsigned char)id,
	};
	const unsigned char *end = buf + len, *p = buf;

	while ((p = memchr(p, SECTION_FOOTER, (size_t)(end - p)))) {
		const size_t left = (size_t)(end - p);

		if (left < SECTION_FOOTER_SIZE + (at_end ? 0 : LOOK_AHEAD))
			break;
		if (!memcmp(p + 1, want, sizeof(want)) &&
		    is_section(p + SECTION_FOOTER_SIZE, left - SECTION_FOOTER_SIZE))
			return (size_t)(p - buf);
		p++;
	}
	return len;
}

/* Skip a section's body, and stop in front of its footer. */
static struct gdump_error *skip_body(struct migration *m, uint32_t id)
{
	for (;;) {
		struct gdump_error *err = fill(m, BUF_SIZE);
		size_t len = m->tail - m->head, n;
		const bool at_end = len < BUF_SIZE;

		if (err)
			return err;
		n = migration_find_footer(m->buf + m->head, len, id, at_end);
		if (n < len) {
			m->head += n;
			return NULL;
		}
		if (at_end) {
			m->head = m->tail;
			m->ended = true;
			return corrupt(m, "%s", "the file ends here, in the middle of a section");
		}
		m->head += len - SECTION_FOOTER_SIZE - LOOK_AHEAD;
	}
}

/* Machines of before QEMU 2.4 send no footers. */
static struct gdump_error *take_footer(struct migration *m, uint32_t id)
{
	struct gdump_error *err = fill(m, 1);
	const unsigned char *p;

	if (err || m->tail == m->head || m->buf[m->head] != SECTION_FOOTER)
		return err;
	err = take(m, SECTION_FOOTER_SIZE, &p);
	if (!err && load_be32(p + 1) != id)
		err = corrupt(m, "%s", "the footer of another section");
	return err;
}

static struct gdump_error *take_ram_section(struct migration *m, uint8_t type)
{
	struct gdump_error *err = take_ram(m);

	if (!err)
		err = take_footer(m, m->ram_id);
	m->part_seen |= type == SECTION_PART;
	if (!err)
		m->ram_done = type == SECTION_END;
	return err;
}

/* START and FULL: the section's number, name, instance and version. */
static struct gdump_error *take_start(struct migration *m, uint8_t type)
{
	const uint64_t pos = migration_pos(m) - 1;
	struct gdump_error *err;
	const unsigned char *p;
	uint32_t id = 0;
	char name[256];

	err = take_u32(m, &id);
	if (!err)
		err = take_name(m, name);
	if (!err)
		err = take(m, 8, &p);
	if (err)
		return err;
	if (type == SECTION_START && !strcmp(name, "ram")) {
		if (m->ram_seen || load_be32(p + 4) != 4)
			return unsupported(m, "a RAM section of an unknown version, or a second one");
		m->ram_seen = true;
		m->ram_id = id;
		return take_ram_section(m, type);
	}
	if (!strcmp(name, "block"))
		return unsupported(m, "the stream carries disks as well; save without them");
	err = skip_body(m, id);
	if (!err && type == SECTION_FULL && m->events->device)
		err = m->events->device(m->events->arg, pos, migration_pos(m) - pos);
	return err ? err : take_footer(m, id);
}

static struct gdump_error *take_part(struct migration *m, uint8_t type)
{
	uint32_t id = 0;
	struct gdump_error *err = take_u32(m, &id);

	if (err)
		return err;
	if (m->ram_seen && id == m->ram_id)
		return take_ram_section(m, type);
	err = skip_body(m, id);
	return err ? err : take_footer(m, id);
}

static struct gdump_error *take_section(struct migration *m)
{
	uint8_t type = 0;
	struct gdump_error *err = take_u8(m, &type);

	if (err)
		return err;
	if (m->part_seen && (type == SECTION_FULL || type == SECTION_EOF)) {
		m->head--;
		m->ram_done = true;
		return NULL;
	}
	switch (type) {
	case SECTION_CONFIGURATION:
		return take_configuration(m);
	case SECTION_START: case SECTION_FULL:
		return take_start(m, type);
	case SECTION_PART: case SECTION_END:
		return take_part(m, type);
	case SECTION_COMMAND:
		return take_command(m);
	case SECTION_EOF:
		return corrupt(m, "%s", "the devices end here, and the memory was not complete");
	default:
		m->head--;
		return error_prefix(error_new(GDUMP_ERR_CORRUPT, "0x%02x begins no section", type),
				    "migration stream at offset %" PRIu64, migration_pos(m));
	}
}

static struct gdump_error *take_magic(struct migration *m)
{
	const unsigned char *p;
	struct gdump_error *err = take(m, 8, &p);

	if (err)
		return err;
	if (memcmp(p, magic, sizeof(magic)))
		return corrupt(m, "%s", "no migration stream begins in front of this place");
	if (load_be32(p + 4) != 3)
		return unsupported(m, "the stream is not of version 3");
	return NULL;
}

struct gdump_error *migration_run(struct migration *m, struct migration_reader *reader,
				  uint64_t pos, const struct migration_events *events)
{
	struct gdump_error *err;

	m->reader = reader;
	m->events = events;
	m->base = pos;
	if (!m->page_size)
		m->page_size = 4096;
	m->buf = malloc(BUF_SIZE);
	if (!m->buf)
		return error_nomem();
	err = take_magic(m);
	while (!err && !m->ram_done)
		err = take_section(m);
	if (err && m->ended && m->block_seen) {
		gdump_error_destroy(err);
		err = NULL;
	}
	return err;
}

void migration_deinit(struct migration *m)
{
	free(m->buf);
	free(m->blocks);
	free(m->order);
	*m = (struct migration){ 0 };
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * migration/sections.c - the sections of QEMU's migration stream
 *
 * Theory of operation.  A stream is a file header, an optional CONFIGURATION,
 * and sections, each ended by a footer with its number.  The RAM is one of them,
 * see ram.c: START brings the list of blocks, PARTs and the END bring pages.  A
 * background snapshot has no END: there the RAM is complete when, behind a PART,
 * the devices begin.  Other sections may come between; they carry no length, so
 * they are skipped by looking for their footer with something sensible behind it.
 *
 * stream_take() is the only way to bytes.  It makes the end of the stream an error
 * too, but raises ->ended: migration_run() forgives that one behind the list of
 * blocks.
 */
#include "take.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"

enum {
	MAX_CAPABILITIES = 256,
	MIN_PAGE_BITS = 10,
	MAX_PAGE_BITS = 16,
};

static const unsigned char magic[] = { 'Q', 'E', 'V', 'M' };

static struct gdump_error *take_page_bits(struct migration *m)
{
	uint32_t bits = 0;
	struct gdump_error *err = stream_take_u32(m, &bits);

	if (!err && (bits < MIN_PAGE_BITS || bits > MAX_PAGE_BITS))
		err = stream_corrupt(m, "%s", "the page size makes no sense");
	if (!err)
		m->page_size = (uint32_t)1 << bits;
	return err;
}

static struct gdump_error *take_capabilities(struct migration *m)
{
	uint32_t num = 0;
	struct gdump_error *err = stream_take_u32(m, &num);
	char name[256];

	if (!err && num > MAX_CAPABILITIES)
		return stream_corrupt(m, "%s", "too many migration capabilities");
	for (uint32_t i = 0; !err && i < num; i++) {
		err = stream_take_name(m, name);
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

	return stream_take(m, 16, &p);
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
	err = stream_take_name(m, name);
	if (!err)
		err = stream_take_u32(m, &version);
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

	err = stream_take_u32(m, &len);
	if (!err && len >= sizeof(m->machine))
		err = stream_corrupt(m, "%s", "the machine's name is too long");
	if (!err)
		err = stream_take(m, len, &p);
	if (err)
		return err;
	if (!stream_is_name(p, len))
		return stream_corrupt(m, "%s", "the machine's name makes no sense");
	memcpy(m->machine, p, len);
	m->machine[len] = 0;
	do {
		err = stream_fill(m, 1);
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
	struct gdump_error *err = stream_take(m, 4, &p);
	uint16_t command;

	if (err)
		return err;
	command = load_be16(p);
	err = stream_take(m, load_be16(p + 2), &p);
	if (err)
		return err;
	if (command == POSTCOPY_ADVISE)
		m->postcopy = true;
	else if (command != RETURN_PATH && command != PING && command != SWITCHOVER_START)
		return stream_unsupported(m, "the memory is not all in the stream (postcopy or COLO)");
	return NULL;
}

/* Skip a section's body, and stop in front of its footer. */
static struct gdump_error *skip_body(struct migration *m, uint32_t id)
{
	for (;;) {
		struct gdump_error *err = stream_fill(m, STREAM_BUF_SIZE);
		size_t len = m->tail - m->head, n;
		const bool at_end = len < STREAM_BUF_SIZE;

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
			return stream_corrupt(m, "%s", "the file ends here, in the middle of a section");
		}
		m->head += len - SECTION_FOOTER_SIZE - LOOK_AHEAD;
	}
}

/* Machines of before QEMU 2.4 send no footers. */
static struct gdump_error *take_footer(struct migration *m, uint32_t id)
{
	struct gdump_error *err = stream_fill(m, 1);
	const unsigned char *p;

	if (err || m->tail == m->head || m->buf[m->head] != SECTION_FOOTER)
		return err;
	err = stream_take(m, SECTION_FOOTER_SIZE, &p);
	if (!err && load_be32(p + 1) != id)
		err = stream_corrupt(m, "%s", "the footer of another section");
	return err;
}

static struct gdump_error *take_ram_section(struct migration *m, uint8_t type)
{
	struct gdump_error *err = stream_take_ram(m);

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

	err = stream_take_u32(m, &id);
	if (!err)
		err = stream_take_name(m, name);
	if (!err)
		err = stream_take(m, 8, &p);
	if (err)
		return err;
	if (type == SECTION_START && !strcmp(name, "ram")) {
		if (m->ram_seen || load_be32(p + 4) != 4)
			return stream_unsupported(m, "a RAM section of an unknown version, or a second one");
		m->ram_seen = true;
		m->ram_id = id;
		return take_ram_section(m, type);
	}
	if (!strcmp(name, "block"))
		return stream_unsupported(m, "the stream carries disks as well; save without them");
	err = skip_body(m, id);
	if (!err && type == SECTION_FULL && m->events->device)
		err = m->events->device(m->events->arg, pos, migration_pos(m) - pos);
	return err ? err : take_footer(m, id);
}

static struct gdump_error *take_part(struct migration *m, uint8_t type)
{
	uint32_t id = 0;
	struct gdump_error *err = stream_take_u32(m, &id);

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
	struct gdump_error *err = stream_take_u8(m, &type);

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
		return stream_corrupt(m, "%s", "the devices end here, and the memory was not complete");
	default:
		m->head--;
		return error_prefix(error_new(GDUMP_ERR_CORRUPT, "0x%02x begins no section", type),
				    "migration stream at offset %" PRIu64, migration_pos(m));
	}
}

static struct gdump_error *take_magic(struct migration *m)
{
	const unsigned char *p;
	struct gdump_error *err = stream_take(m, 8, &p);

	if (err)
		return err;
	if (memcmp(p, magic, sizeof(magic)))
		return stream_corrupt(m, "%s", "no migration stream begins in front of this place");
	if (load_be32(p + 4) != 3)
		return stream_unsupported(m, "the stream is not of version 3");
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
	m->buf = malloc(STREAM_BUF_SIZE);
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

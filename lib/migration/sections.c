/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/sections.c - the sections of QEMU's migration stream
 *
 * Theory of operation.  A stream is a file header, an optional CONFIGURATION,
 * and sections, each ended by a footer with its number.  The RAM is one of them,
 * see ram.c: START brings the list of blocks, PARTs and the END bring pages.  A
 * background snapshot has no END: there the RAM is complete when, after a PART,
 * the devices begin.  Other sections may come between; they carry no length, so
 * they are skipped by looking for their footer with something sensible after it.
 */
#include "take.h"

#include <string.h>

#include "../util/bits.h"

enum {
	MAX_CAPABILITIES = 256,
	MIN_PAGE_BITS = 10,
	MAX_PAGE_BITS = 16,
	/* so many bytes of a body are searched for the footer at least */
	BODY_WINDOW = 1024,
	BODY_KEPT = STREAM_FOOTER_SIZE + STREAM_PROOF - 1,
};

static const unsigned char magic[] = { 'Q', 'E', 'V', 'M' };

static struct gdump_error *section_next(struct migration *m);

/* Configuration ----------------------------------------------------------- */

static struct gdump_error *section_take_page_bits(struct migration *m)
{
	const uint32_t bits = stream_take_u32(m);

	if (stream_is_short(m))
		return NULL;
	if (bits < MIN_PAGE_BITS || bits > MAX_PAGE_BITS)
		return stream_corrupt(m, "pages of 2^%u bytes are none that a machine has", bits);
	m->page_size = (uint32_t)1 << bits;
	return NULL;
}

static struct gdump_error *section_take_capabilities(struct migration *m)
{
	const uint32_t num = stream_take_u32(m);
	struct gdump_error *err = NULL;
	char name[256] = "";

	if (num > MAX_CAPABILITIES)
		return stream_corrupt(m, "there are too many migration capabilities (%u)", num);
	for (uint32_t i = 0; !err && !stream_is_short(m) && i < num; i++) {
		err = stream_take_name(m, name);
		m->mapped_ram |= !strcmp(name, "mapped-ram");
		m->ignore_shared |= !strcmp(name, "x-ignore-shared");
	}
	return err;
}

static struct gdump_error *section_take_uuid(struct migration *m)
{
	stream_take(m, 16);
	return NULL;
}

static const struct {
	const char *name;
	struct gdump_error *(*take)(struct migration *m);
} configuration_parts[] = {
	{ "configuration/target-page-bits", section_take_page_bits },
	{ "configuration/capabilities", section_take_capabilities },
	{ "configuration/uuid", section_take_uuid },
};

/* A subsection of the configuration, or what follows them */
static struct gdump_error *section_next_configuration_part(struct migration *m)
{
	const unsigned char *type = stream_peek(m, 1);
	struct gdump_error *err;
	char name[256];

	if (!type || *type != STREAM_SUBSECTION) {
		m->next = section_next;
		return NULL;
	}
	stream_take(m, 1);
	err = stream_take_name(m, name);
	stream_take(m, 4);              /* version */
	if (err || stream_is_short(m))
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(configuration_parts); i++) {
		if (!strcmp(configuration_parts[i].name, name))
			return configuration_parts[i].take(m);
	}
	return stream_unsupported(m, "the configuration has the part '%s', which guestdump does not know",
				  name);
}

static struct gdump_error *section_take_configuration(struct migration *m)
{
	const uint32_t len = stream_take_u32(m);
	const unsigned char *p;

	if (len >= sizeof(m->machine))
		return stream_corrupt(m, "the machine's name is too long (%u bytes)", len);
	p = stream_take(m, len);
	if (!p)
		return NULL;
	if (!stream_is_name(p, len))
		return stream_corrupt(m, "the machine's name in front of this offset is not text");
	memcpy(m->machine, p, len);
	m->machine[len] = 0;
	m->next = section_next_configuration_part;
	return NULL;
}

/* Sections ---------------------------------------------------------------- */

/* Commands to the receiving QEMU.  Those of postcopy make it ask the sender for
 * pages: no file can answer.
 */
static struct gdump_error *section_take_command(struct migration *m)
{
	enum { RETURN_PATH = 1, PING, POSTCOPY_ADVISE, SWITCHOVER_START = 11 };
	const unsigned char *p = stream_take(m, 4);
	uint16_t command;

	if (!p || !stream_take(m, load_be16(p + 2)))
		return NULL;
	command = load_be16(p);
	if (command == POSTCOPY_ADVISE)
		m->postcopy = true;
	else if (command != RETURN_PATH && command != PING && command != SWITCHOVER_START)
		return stream_unsupported(m, "the memory is not all in the stream (postcopy or COLO)");
	return NULL;
}

/* Part of a section's body, of which nothing is known, or all that is left of it */
static struct gdump_error *section_next_body(struct migration *m)
{
	const struct migration_events *events = m->events;
	size_t n;

	if (m->len < BODY_WINDOW && !m->at_end) {
		stream_take(m, BODY_WINDOW);
		return NULL;
	}
	n = migration_find_footer(m->p, m->len, m->section.id, m->at_end);
	if (n == m->len && m->at_end) {
		stream_take(m, n);
		stream_take(m, 1);      /* which is missing */
		return NULL;
	}
	if (n == m->len) {
		stream_take(m, n - BODY_KEPT);
		return NULL;
	}
	stream_take(m, n);
	m->next = stream_next_footer;
	if (m->section.type != STREAM_FULL || !events->device)
		return NULL;
	return events->device(events->arg, m->section.pos, migration_pos(m) - m->section.pos);
}

static void section_begin(struct migration *m, uint8_t type, uint32_t id, bool is_ram)
{
	m->section.type = type;
	m->section.id = id;
	m->section.pos = m->pos;
	m->section.is_ram = is_ram;
	m->next = is_ram ? stream_next_ram : section_next_body;
}

/* START and FULL: the section's number, name, instance and version. */
static struct gdump_error *section_take_start(struct migration *m, uint8_t type)
{
	const uint32_t id = stream_take_u32(m);
	char name[256];
	struct gdump_error *err = stream_take_name(m, name);
	const unsigned char *p = err ? NULL : stream_take(m, 8);
	bool is_ram;

	if (!p)
		return err;
	if (!strcmp(name, "block"))
		return stream_unsupported(m, "the stream carries disks as well; save without them");
	is_ram = type == STREAM_START && !strcmp(name, "ram");
	if (is_ram && (m->ram_seen || load_be32(p + 4) != 4))
		return stream_unsupported(m, "this RAM section has an unknown version, or is a second one");
	if (is_ram) {
		m->ram_seen = true;
		m->ram_id = id;
	}
	section_begin(m, type, id, is_ram);
	return NULL;
}

static struct gdump_error *section_take_part(struct migration *m, uint8_t type)
{
	const uint32_t id = stream_take_u32(m);

	if (!stream_is_short(m))
		section_begin(m, type, id, m->ram_seen && id == m->ram_id);
	return NULL;
}

/* The snapshot of a running guest has no end of the RAM, but then devices follow, which are not
 * for us.
 */
static struct gdump_error *section_find_devices(struct migration *m)
{
	const uint32_t id = stream_take_u32(m);
	char name[256];
	struct gdump_error *err;

	if (!stream_is_short(m) && id == m->ram_id)
		return stream_corrupt(m, "a device has the number of the RAM section");
	err = stream_take_name(m, name);
	if (err || stream_is_short(m))
		return err;
	m->used = 0;
	m->ram_done = true;
	return NULL;
}

static struct gdump_error *section_next(struct migration *m)
{
	const uint8_t type = stream_take_u8(m);

	if (stream_is_short(m))
		return NULL;
	if (m->part_seen && type == STREAM_FULL)
		return section_find_devices(m);
	switch (type) {
	case STREAM_CONFIGURATION:
		return section_take_configuration(m);
	case STREAM_START: case STREAM_FULL:
		return section_take_start(m, type);
	case STREAM_PART: case STREAM_END:
		return section_take_part(m, type);
	case STREAM_COMMAND:
		return section_take_command(m);
	case STREAM_EOF:
		return stream_corrupt(m, "the devices end here, and the memory was not complete");
	default:
		m->used = 0;
		return stream_corrupt(m, "0x%02x begins no section", type);
	}
}

/* Machines of before QEMU 2.4 send no footers. */
struct gdump_error *stream_next_footer(struct migration *m)
{
	const unsigned char *p = stream_peek(m, 1);

	if (p && *p == STREAM_FOOTER) {
		p = stream_take(m, STREAM_FOOTER_SIZE);
		if (p && load_be32(p + 1) != m->section.id)
			return stream_corrupt(m, "the footer in front of this offset is that of another section");
	}
	if (stream_is_short(m))
		return NULL;
	m->next = section_next;
	if (m->section.is_ram) {
		m->part_seen |= m->section.type == STREAM_PART;
		m->ram_done = m->section.type == STREAM_END;
	}
	return NULL;
}

struct gdump_error *stream_next_magic(struct migration *m)
{
	const unsigned char *p = stream_take(m, 8);

	if (!p)
		return NULL;
	if (memcmp(p, magic, sizeof(magic)))
		return stream_corrupt(m, "no migration stream begins in front of this offset");
	if (load_be32(p + 4) != 3)
		return stream_unsupported(m, "the stream is of version %u, not 3", load_be32(p + 4));
	m->next = section_next;
	return NULL;
}

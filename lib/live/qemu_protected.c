/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_protected.c - a protected guest of QEMU's
 *
 * Theory of operation.  KVM gives the dump of a protected guest (see kvm_protected.h) only to
 * QEMU, so QEMU dumps all of it at once, and we read the dump from a pipe: the machine
 * and the CPUs in the head, memory, then the sections, whose headers are in the head too.
 * Our own file is written from that as from any other source.
 *
 * QEMU 7.2 ends such a dump wrongly in two cases.  If the firmware refuses, QEMU continues
 * without the sections; we report an error.  If QEMU cannot write the whole dump, it does
 * not end the dump in the firmware, and the guest can never run again; so the pipe is
 * always read to its end (see qemu_stream_end()), by the guard if we are killed.
 *
 * Facts: QEMU's dump/dump.c and target/s390x/arch_dump.c.
 */
#include "qemu_guest.h"

#include <elf.h>
#include <inttypes.h>

#include "../pv/keys.h"
#include "../pv/meta.h"
#include "../pv/pv.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "qemu_stream.h"
#include "qemu_way.h"

enum { META, COMPL, NAMES, NUM_SECTIONS };
enum { MAX_NAMES = 4096 };

struct protected_dump {
	uint32_t name[NUM_SECTIONS];    /* in QEMU's table of names             */
	uint64_t off[NUM_SECTIONS], size[NUM_SECTIONS];
	struct pv_dump_section sections[NAMES + 1];
	bool active, over;              /* it is being written; it was          */
};

static const char *const names[NAMES] = { "pv_mem_meta", "pv_compl" };

static struct gdump_error *protected_incomplete(void)
{
	return error_new(GDUMP_ERR_PROTECTED,
			 "QEMU's dump of this protected guest has no completion data, so it could not be decrypted: most likely the guest's owner does not allow dumps, as its header was created without --enable-dump");
}

static struct gdump_error *protected_usable(const struct source *s)
{
	if (((const struct qemu *)s)->protected_dump->active)
		return NULL;
	return error_new(GDUMP_ERR_PROTECTED,
			 "the guest is protected, its memory encrypted: all of it can be dumped, in ELF, but nothing can be seen before its owner decrypts that");
}

static struct gdump_error *protected_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct gdump_error *err = protected_usable(s);

	return err ? err : qemu_stream_read(s, paddr, buf, len);
}

static struct gdump_error *protected_begin(struct source *s, const struct image **image,
					   const struct pv_dump_section **sections)
{
	struct protected_dump *d = ((struct qemu *)s)->protected_dump;

	if (d->over)
		return error_new(GDUMP_ERR_USAGE,
				 "QEMU's dump of this protected guest was read already: open it again");
	d->active = d->over = true;
	*image = &s->image;
	*sections = d->sections;
	return NULL;
}

/* The names come last: are these what the sections are? */
static struct gdump_error *protected_check_names(struct qemu *qemu)
{
	const struct protected_dump *d = qemu->protected_dump;
	char table[MAX_NAMES + 1] = "";
	struct gdump_error *err;

	err = qemu_stream_bytes(qemu, d->off[NAMES], table, (size_t)d->size[NAMES]);
	for (int i = 0; !err && i < NAMES; i++) {
		if (d->name[i] >= d->size[NAMES] || strcmp(table + d->name[i], names[i]))
			err = protected_incomplete();
	}
	return err;
}

static struct gdump_error *protected_fetch(struct source *s, size_t section, uint64_t off,
					   void *buf, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;
	const struct protected_dump *d = qemu->protected_dump;
	struct gdump_error *err = qemu_stream_bytes(qemu, d->off[section] + off, buf, len);

	if (!err && section == COMPL && off + len == d->size[COMPL])
		err = protected_check_names(qemu);
	return err;
}

static struct gdump_error *protected_end(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;

	qemu->protected_dump->active = false;
	return qemu_stream_end(qemu);
}

static const struct encryption_ops protected_encryption = {
	.usable = protected_usable,
};

static const struct pv_dump_ops protected_pv_dump = {
	.begin = protected_begin,
	.fetch = protected_fetch,
	.end = protected_end,
};

static const struct source_ops protected_ops = {
	.name = "qmp",
	.order = READ_ASCENDING,
	.read = protected_read,
	.guest = &qemu_guest_ops,
	.encryption = &protected_encryption,
	.pv_dump = &protected_pv_dump,
	.close = qemu_close,
};

static struct gdump_error *protected_read_headers(const struct qemu_head *head,
						  struct protected_dump *d)
{
	const struct elf_header *e = &head->elf;
	const struct qemu_load *last = &head->loads[head->num_loads - 1];
	uint64_t end = last->off + last->size;
	struct cursor c;

	/* after number 0: the two sections and the names */
	if (!e->is64 || !e->big || e->shnum != NUM_SECTIONS + 1 || e->shstrndx != NUM_SECTIONS ||
	    e->shoff > head->size)
		return protected_incomplete();
	c = cursor_init(head->buf + e->shoff, head->size - e->shoff, true, true);
	cursor_take(&c, sizeof(Elf64_Shdr));
	for (int i = 0; i < NUM_SECTIONS; i++) {
		d->name[i] = get_u32(&c);
		cursor_take(&c, offsetof(Elf64_Shdr, sh_offset) - 4);
		d->off[i] = get_u64(&c);
		d->size[i] = get_u64(&c);
		cursor_take(&c, sizeof(Elf64_Shdr) - offsetof(Elf64_Shdr, sh_link));
		if (c.bad || d->off[i] < end || d->off[i] + d->size[i] < d->off[i])
			return protected_incomplete();
		end = d->off[i] + d->size[i];
	}
	return NULL;
}

static struct gdump_error *protected_check_sizes(const struct qemu_head *head,
						 const struct protected_dump *d)
{
	uint64_t memory = 0;

	for (size_t i = 0; i < head->num_loads; i++)
		memory += head->loads[i].size;
	if (d->size[META] < memory / PV_PAGE * PV_COMPONENT || d->size[META] > memory ||
	    d->size[COMPL] < PV_COMPLETION_SIZE || d->size[COMPL] > PV_DUMP_PIECE ||
	    d->size[NAMES] > MAX_NAMES)
		return protected_incomplete();
	return NULL;
}

static struct gdump_error *protected_take_head(struct qemu *qemu)
{
	const struct qemu_head *head = &qemu->stream.head;
	struct protected_dump *d = calloc(1, sizeof(*d));
	struct gdump_error *err;

	if (!d)
		return error_nomem();
	qemu->protected_dump = d;
	err = head->num_loads ? protected_read_headers(head, d) : protected_incomplete();
	if (!err)
		err = protected_check_sizes(head, d);
	if (err)
		return err;
	for (int i = 0; i < NAMES; i++)
		d->sections[i] = (struct pv_dump_section){ names[i], d->size[i] };
	return NULL;
}

/* The firmware gives a dump of all of a protected guest to QEMU, or none. */
static struct gdump_error *protected_prepare(struct qemu *qemu, const char **unfit)
{
	*unfit = qemu->guest.may_be_protected ? NULL : "the guest is not protected";
	if (*unfit || (qemu->opt.pause_guest && !qemu->opt.length))
		return NULL;
	return error_new(qemu->opt.length ? GDUMP_ERR_USAGE : GDUMP_ERR_PROTECTED,
			 "the guest may be protected (IBM Secure Execution): it can be dumped only as a whole, and while it is paused");
}

static struct gdump_error *protected_begin_stream(struct qemu *qemu)
{
	struct gdump_error *err = qemu_stream_begin(qemu);

	if (err || pv_has_cpus(&qemu->source.image))
		return err ? err : protected_take_head(qemu);
	/* it could be protected, but is not */
	qemu_use(qemu, &qemu_way_indirect);
	return NULL;
}

static void protected_close(struct qemu *qemu)
{
	free(qemu->protected_dump);
	qemu->protected_dump = NULL;
}

const struct qemu_way qemu_way_protected = {
	.name = "a dump that QEMU writes of a protected guest",
	.ops = &protected_ops,
	.prepare = protected_prepare,
	.begin = protected_begin_stream,
	.end = qemu_stream_end,
	.close = protected_close,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu.c - a guest of QEMU
 *
 * Theory of operation.  What the guest's memory is comes from QEMU's monitor:
 * "info mtree -f" gives the guest-physical ranges, gpa2hva the addresses in
 * QEMU's process (see layout.c).  The memory itself is then read from that
 * process (see procmem.c), by as many threads as there are.  The registers of
 * the CPUs and all else that travels as ELF notes is taken from a tiny dump of
 * QEMU's own, of one page (see qemu_dump.c); and that page must be the one that
 * we read ourselves, or else something is wrong with the addresses.
 *
 * Where reading the process is not allowed, or does not fit, QEMU dumps it all
 * (see qemu_stream.c): slower, but it needs nothing but the monitor.
 *
 * The guest stands still from guest_stop() on.  What can be done before is done
 * before; afterwards it is checked that the memory map is still the same.
 */
#include "qemu.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../format/format.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "live.h"

enum { PROBE_SIZE = 4096 };

static const struct source_ops qemu_ops, qemu_live_ops;

void qemu_warn(const struct gdump_open_options *opt, const char *fmt, ...)
{
	char message[300];
	va_list ap;

	if (!opt->warn)
		return;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	opt->warn(opt->warn_arg, message);
}

/* The ELF reader knows how to read the head of an ELF core; its ranges are those
 * of this dump and not the guest's.
 */
struct gdump_error *qemu_take_head(struct qemu *qemu, const struct qemu_head *head)
{
	CLEANUP_SOURCE struct source *elf = NULL;
	struct image *image = &qemu->source.image;
	struct gdump_error *err;
	struct bytes *bytes;

	err = bytes_memory_open(head->buf, head->size, &bytes);
	if (!err)
		err = format_elf.open(bytes, &elf);
	if (err)
		return error_prefix(err, "QEMU's dump of the CPUs");
	image->machine = elf->image.machine;
	image->is64 = elf->image.is64;
	image->big = elf->image.big;
	for (size_t i = 0; !err && i < elf->image.num_notes; i++) {
		const struct gdump_note *n = &elf->image.notes[i];

		err = image_add_note(image, n->name, n->type, n->desc, n->size);
	}
	return err;
}

/* Read the slots [paddr, paddr + len); the caller asks for nothing else. */
static struct gdump_error *qemu_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;
	struct gdump_error *err;
	size_t n;

	for (size_t i = layout_find(&qemu->layout, paddr); len; i++) {
		const struct slot *slot = &qemu->layout.slots[i];

		if (i == qemu->layout.num_slots || paddr < slot->paddr)
			return error_new(GDUMP_ERR_NODATA, "the guest has no memory at 0x%" PRIx64,
					 paddr);
		n = (size_t)MIN(slot->paddr + (slot->size - 1) - paddr, (uint64_t)len - 1) + 1;
		err = procmem_read(qemu->mem, slot->hva + (paddr - slot->paddr), buf, n);
		if (err)
			return error_prefix(err, "guest memory at 0x%" PRIx64, paddr);
		paddr += n;
		buf = (char *)buf + n;
		len -= n;
	}
	return NULL;
}

static struct gdump_error *qemu_scan(struct source *s, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	struct qemu *qemu = (struct qemu *)s;
	const struct scan scan = { .pfn = pfn, .num = num, .page_size = s->image.page_size,
				   .state = state };

	memset(state, PAGE_THERE, num);
	if (holes)
		slots_scan(qemu->layout.slots, qemu->layout.num_slots, qemu->mem, &scan);
	return NULL;
}

/* Whether all of the host's pages there may be looked at without allocating one */
static bool qemu_has_no_hole(const struct procmem *mem, uint64_t hva, size_t len)
{
	uint64_t page = procmem_page_size(mem), start = round_down(hva, page);
	unsigned char there[512];

	for (uint64_t num = div_up(hva - start + len, page); num;) {
		size_t n = (size_t)MIN(num, (uint64_t)ARRAY_SIZE(there));

		procmem_scan(mem, start, n, there);
		if (memchr(there, 0, n))
			return false;
		start += n * page;
		num -= n;
	}
	return true;
}

static const void *qemu_borrow(struct source *s, uint64_t paddr, size_t len)
{
	struct qemu *qemu = (struct qemu *)s;
	size_t i = layout_find(&qemu->layout, paddr);
	const struct slot *slot = &qemu->layout.slots[i];
	const void *p;
	uint64_t hva;

	if (i == qemu->layout.num_slots || paddr < slot->paddr ||
	    !range_fits(paddr - slot->paddr, len, slot->size))
		return NULL;
	hva = slot->hva + (paddr - slot->paddr);
	p = procmem_borrow(qemu->mem, hva, len);
	/* of a large page that is there, some of the host's may not be */
	if (p && s->image.page_size > procmem_page_size(qemu->mem) &&
	    !qemu_has_no_hole(qemu->mem, hva, len))
		return NULL;
	return p;
}

struct gdump_error *qemu_resume(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	struct gdump_error *err = NULL, *resume_err;

	/* if QEMU has not ended its dump yet, it says so again to our cont */
	gdump_error_destroy(qemu_stream_end(qemu));
	if (qemu->still)
		err = guest_check_still(&qemu->guest);
	qemu->still = false;
	resume_err = guest_resume(&qemu->guest);
	if (!resume_err)
		return err;
	gdump_error_destroy(err);
	return resume_err;
}

uint64_t qemu_paused_us(const struct source *s)
{
	const struct qemu *qemu = (const struct qemu *)s;

	return guest_paused_us(&qemu->guest);
}

void qemu_close(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	CLEANUP_ERROR struct gdump_error *err = NULL;

	if (qemu->guest.qmp) {
		qmp_ignore_cancel(qemu->guest.qmp);
		snapshot_close(qemu);
		err = qemu_resume(s);
	}
	if (err)
		qemu_warn(&qemu->opt, "%s", gdump_error_message(err));
	protected_dump_free(qemu->whole);
	qemu_head_deinit(&qemu->head);
	procmem_close(qemu->mem);
	layout_deinit(&qemu->layout);
	qmp_close(qemu->guest.qmp);
	free(qemu);
}

/* "PATH" or "PATH,pid=N" */
static struct gdump_error *qemu_connect(struct qemu *qemu, const char *where)
{
	CLEANUP_FREE char *path = strdup(where);
	char *pid = path ? strrchr(path, ',') : NULL;
	struct gdump_error *err;
	long num = 0;

	if (!path)
		return error_nomem();
	if (pid && !strncmp(pid, ",pid=", 5) && pid[5] && !pid[5 + strspn(pid + 5, "0123456789")]) {
		num = strtol(pid + 5, NULL, 10);
		*pid = '\0';
		if (num <= 0 || num > INT32_MAX)
			return error_new(GDUMP_ERR_USAGE, "there is no process %s", pid + 5);
	}
	err = qmp_open(path, &qemu->opt, &qemu->guest.qmp);
	if (!err && num)
		err = qmp_set_pid(qemu->guest.qmp, (pid_t)num);
	return err;
}

/* Find the guest's memory in QEMU's process. */
static struct gdump_error *qemu_attach(struct qemu *qemu)
{
	CLEANUP_PROCMEM struct procmem *mem = NULL;
	struct gdump_error *err;

	err = procmem_open(qmp_pid(qemu->guest.qmp), &mem);
	if (!err)
		err = layout_locate(qemu->guest.qmp, &qemu->opt, &qemu->layout);
	for (size_t i = 0; !err && i < qemu->layout.num_slots; i++)
		err = procmem_use(mem, qemu->layout.slots[i].hva, qemu->layout.slots[i].size);
	if (err)
		return err;
	qemu->mem = TAKE_PTR(mem);
	return NULL;
}

/* Go the slow way, and say why. */
static void qemu_fall_back(struct qemu *qemu, struct gdump_error *why)
{
	qemu_warn(&qemu->opt, "QEMU itself must read the guest's memory, which is slower: %s",
		  gdump_error_message(why));
	gdump_error_destroy(why);
	procmem_close(qemu->mem);
	qemu->mem = NULL;
}

/* Whether @err is about reading QEMU's process, and not about QEMU itself */
static bool qemu_can_fall_back(const struct gdump_error *err)
{
	return gdump_error_code(err) == GDUMP_ERR_OS || gdump_error_code(err) == GDUMP_ERR_NODATA;
}

static struct gdump_error *qemu_find_memory(struct qemu *qemu)
{
	struct gdump_error *err;

	procmem_close(qemu->mem);
	qemu->mem = NULL;
	layout_deinit(&qemu->layout);
	err = layout_read(qemu->guest.qmp, &qemu->opt, &qemu->layout);
	if (err || qemu->opt.no_direct)
		return err;
	err = qemu_attach(qemu);
	if (err && qemu_can_fall_back(err)) {
		qemu_fall_back(qemu, err);
		err = NULL;
	}
	return err;
}

/* Stop the guest; its memory map may have changed until that moment. */
static struct gdump_error *qemu_stop(struct qemu *qemu)
{
	struct gdump_error *err;
	bool changed;

	err = guest_stop(&qemu->guest);
	qemu->still = !err;
	if (!err)
		err = layout_changed(qemu->guest.qmp, &qemu->layout, &changed);
	if (!err && changed)
		err = qemu_find_memory(qemu);
	return err;
}

/* The first bytes of memory came along with the CPUs' registers: compare. */
static struct gdump_error *qemu_compare(struct qemu *qemu, const struct qemu_head *head)
{
	const struct qemu_load *load = head->loads;
	unsigned char ours[PROBE_SIZE];
	struct gdump_error *err;
	size_t len;

	if (!head->num_loads)
		return error_new(GDUMP_ERR_NODATA, "QEMU's dump has no memory to compare with");
	len = (size_t)MIN(load->size, (uint64_t)sizeof(ours));
	err = qemu_read(&qemu->source, load->paddr, ours, len);
	if (!err && memcmp(ours, head->buf + load->off, len))
		err = error_new(GDUMP_ERR_NODATA,
				"at 0x%" PRIx64 " QEMU's process has other memory than the guest",
				load->paddr);
	return err;
}

/* Where to look for the CPUs' registers: QEMU gives them with some memory only. */
static struct qemu_extent qemu_probe_extent(const struct layout *layout)
{
	const struct slot *s = layout->slots;

	for (size_t i = 0; i < layout->num_slots; i++) {
		if (layout->slots[i].kind == GDUMP_RANGE_RAM) {
			s = &layout->slots[i];
			break;
		}
	}
	return (struct qemu_extent){ s->paddr, MIN(s->size, (uint64_t)PROBE_SIZE) };
}

static struct gdump_error *qemu_find_cpus(struct qemu *qemu)
{
	CLEANUP_HEAD struct qemu_head head = { 0 };
	struct gdump_error *err;

	err = layout_plugged(qemu->guest.qmp, &qemu->layout);
	if (!err && !qemu->layout.num_slots)
		err = error_new(GDUMP_ERR_REMOTE, "QEMU has no memory of this guest");
	if (!err)
		err = qemu_dump_notes(qemu->guest.qmp, qemu_probe_extent(&qemu->layout), &head);
	if (err)
		return err;
	/* in a running guest they may well differ */
	if (!qemu->source.changes)
		err = qemu_compare(qemu, &head);
	return err ? err : qemu_take_head(qemu, &head);
}

static struct gdump_error *qemu_fill_image(struct qemu *qemu)
{
	struct image *image = &qemu->source.image;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < qemu->layout.num_slots; i++) {
		const struct slot *s = &qemu->layout.slots[i];

		err = image_add_range(image, s->paddr, s->size, s->kind);
	}
	snprintf(image->detail, sizeof(image->detail), "QEMU %s, process %d",
		 qmp_version(qemu->guest.qmp), (int)qmp_pid(qemu->guest.qmp));
	return err ? err : image_seal(image);
}

/* Get ready for a snapshot, if one is wanted and makes sense: a guest that does
 * not run anyway need not.
 */
static struct gdump_error *qemu_try_live(struct qemu *qemu)
{
	struct gdump_error *err = NULL;

	if (qemu->opt.live == GDUMP_LIVE_NO || !qemu->opt.pause_guest || !qemu->guest.running)
		return NULL;
	if (qemu->mem)
		err = snapshot_prepare(qemu);
	else
		err = error_new(GDUMP_ERR_REMOTE,
				"a snapshot of the running guest: its memory cannot be read directly");
	if (!err) {
		qemu->source.ops = &qemu_live_ops;
		return NULL;
	}
	snapshot_close(qemu);
	if (qemu->opt.live == GDUMP_LIVE_YES)
		return err;
	qemu_warn(&qemu->opt, "the guest is paused until its memory is read: %s",
		  gdump_error_message(err));
	gdump_error_destroy(err);
	return NULL;
}

/* The firmware gives a dump of all of a protected guest to QEMU, or none. */
static struct gdump_error *qemu_expect_protected(struct qemu *qemu)
{
	qemu->opt.no_direct = true;
	if (qemu->opt.pause_guest && !qemu->opt.length)
		return NULL;
	return error_new(qemu->opt.length ? GDUMP_ERR_USAGE : GDUMP_ERR_PROTECTED,
			 "the guest may be protected (IBM Secure Execution): it can be dumped as a whole, and while it stands still; there is no other way to look at it");
}

/* A guest that ran on until now: what is known of its memory holds, its registers do
 * not.
 */
struct gdump_error *qemu_hold(struct source *s)
{
	struct qemu *qemu = (struct qemu *)s;
	CLEANUP_HEAD struct qemu_head head = { 0 };
	struct qemu now = { .source.image.num_notes = 0 };
	struct gdump_error *err;
	bool changed = false;

	if (qemu->guest.stopped)
		return NULL;
	err = guest_stop(&qemu->guest);
	qemu->still = !err;
	if (!err)
		err = layout_changed(qemu->guest.qmp, &qemu->layout, &changed);
	if (!err && changed)
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest got other memory meanwhile: take the dump again");
	if (!err)
		err = qemu_dump_notes(qemu->guest.qmp, qemu_probe_extent(&qemu->layout), &head);
	if (!err)
		err = qemu_compare(qemu, &head);
	if (!err)
		err = qemu_take_head(&now, &head);
	if (!err && !image_renew_notes(&s->image, &now.source.image))
		err = error_new(GDUMP_ERR_REMOTE,
				"the guest got other CPUs meanwhile: take the dump again");
	image_deinit(&now.source.image);
	s->changes = err;
	return err;
}

static struct gdump_error *qemu_begin(struct qemu *qemu)
{
	struct gdump_error *err;

	err = guest_check(&qemu->guest);
	if (!err && qemu->guest.may_be_protected)
		err = qemu_expect_protected(qemu);
	if (!err)
		err = qemu_find_memory(qemu);
	if (!err)
		err = qemu_try_live(qemu);
	qemu->source.was_running = qemu->guest.running;
	qemu->source.changes = qemu->guest.running && (!qemu->opt.pause_guest || qemu->snapshot);
	if (!err && !qemu->source.changes && qemu->opt.pause_guest)
		err = qemu_stop(qemu);
	if (!err && qemu->mem)
		err = qemu_find_cpus(qemu);
	if (err && qemu->mem && !qemu->snapshot && qemu_can_fall_back(err)) {
		qemu_fall_back(qemu, err);
		err = NULL;
	}
	if (!err && !qemu->mem) {
		qemu->source.ops = &qemu_stream_ops;
		err = qemu_stream_begin(qemu);
	}
	if (!err)
		err = qemu_fill_image(qemu);
	return err || !qemu->guest.may_be_protected ? err : qemu_protect(qemu);
}

struct gdump_error *qemu_open(const char *path, const struct gdump_open_options *opt,
			      struct source **ret)
{
	CLEANUP_SOURCE struct source *s = NULL;
	struct qemu *qemu = calloc(1, sizeof(*qemu));
	struct gdump_error *err;

	if (!qemu)
		return error_nomem();
	s = &qemu->source;
	source_init(s, &qemu_ops);
	s->is_guest = true;
	qemu->opt = *opt;
	qemu->guest.guard_fd = opt->guard_fd;
	qemu->guest.allow_encrypted = opt->allow_encrypted;
	err = qemu_connect(qemu, path);
	if (!err)
		err = qemu_begin(qemu);
	if (err)
		return err;
	/* from here on, the monitor is used by whatever thread reads or closes */
	qmp_ignore_cancel(qemu->guest.qmp);
	*ret = TAKE_PTR(s);
	return NULL;
}

static const struct source_ops qemu_ops = {
	.name = "qmp",
	.read = qemu_read,
	.scan = qemu_scan,
	.borrow = qemu_borrow,
	.resume = qemu_resume,
	.paused_us = qemu_paused_us,
	.close = qemu_close,
};

/* A guest that goes on: read before its snapshot, then pushed. */
static const struct source_ops qemu_live_ops = {
	.name = "qmp",
	.read = qemu_read,
	.scan = qemu_scan,
	.borrow = qemu_borrow,
	.hold = qemu_hold,
	.push = snapshot_push,
	.resume = qemu_resume,
	.paused_us = qemu_paused_us,
	.stalled_us = snapshot_stalled_us,
	.close = qemu_close,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qemu_dump.c - QEMU's own dump-guest-memory, into a pipe of ours
 *
 * QEMU gets the pipe's other end by getfd.  A dump that is not detached is
 * answered when all of it is written, so the pipe is read while we wait for the
 * answer; that is why reading is done by a qmp_pump.
 *
 * The head is parsed in steps: the ELF header tells how large the program
 * headers are, and those where the notes end.
 */
#include "qemu_dump.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/cursor.h"

enum {
	PIPE_SIZE = 1 << 20,
	PATIENCE = 4,                   /* times the usual time-out             */
};
#define HEAD_MAX ((uint64_t)256 << 20)
#define FD_NAME  "guestdump"

static struct gdump_error *head_odd(const char *what)
{
	return qmp_odd("dump-guest-memory", "is a dump that %s", what);
}

/* What we need of the ELF header */
struct ehdr {
	bool big, is64;
	uint64_t phoff, shoff, phnum;
};

/* The true number of program headers, when there are too many for the header */
static bool head_xnum(const struct qemu_head *h, struct ehdr *e, uint64_t *need)
{
	size_t size = e->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	struct cursor c;

	*need = e->shoff <= HEAD_MAX ? e->shoff + size : UINT64_MAX;
	if (*need > h->len)
		return false;
	c = cursor_init(h->buf + e->shoff, size, e->big, e->is64);
	cursor_take(&c, e->is64 ? offsetof(Elf64_Shdr, sh_info) : offsetof(Elf32_Shdr, sh_info));
	e->phnum = get_u32(&c);
	return true;
}

static struct gdump_error *head_ehdr(const struct qemu_head *h, struct ehdr *e)
{
	struct cursor c;
	uint16_t phentsize;

	if (memcmp(h->buf, ELFMAG, SELFMAG) || h->buf[EI_CLASS] < ELFCLASS32 ||
	    h->buf[EI_CLASS] > ELFCLASS64 || h->buf[EI_DATA] < ELFDATA2LSB ||
	    h->buf[EI_DATA] > ELFDATA2MSB)
		return head_odd("is no ELF file");
	e->is64 = h->buf[EI_CLASS] == ELFCLASS64;
	e->big = h->buf[EI_DATA] == ELFDATA2MSB;
	c = cursor_init(h->buf, sizeof(Elf64_Ehdr), e->big, e->is64);
	cursor_take(&c, EI_NIDENT + 8);
	get_word(&c);
	e->phoff = get_word(&c);
	e->shoff = get_word(&c);
	cursor_take(&c, 6);
	phentsize = get_u16(&c);
	e->phnum = get_u16(&c);
	if (phentsize != (e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return head_odd("has program headers of an unknown size");
	return NULL;
}

struct phdr {
	uint32_t type;
	uint64_t off, paddr, size;
};

static struct phdr head_phdr(struct cursor *c)
{
	struct phdr p;

	p.type = get_u32(c);
	if (c->is64)
		get_u32(c);
	p.off = get_word(c);
	get_word(c);
	p.paddr = get_word(c);
	p.size = get_word(c);
	cursor_take(c, c->is64 ? 16 : 12);
	return p;
}

static struct gdump_error *head_add_load(struct qemu_head *h, const struct phdr *p)
{
	const struct qemu_load *last = h->num_loads ? &h->loads[h->num_loads - 1] : NULL;

	if (p->off < h->size || p->paddr + p->size < p->paddr || p->off + p->size < p->off ||
	    (last && (p->off < last->off + last->size || p->paddr < last->paddr + last->size)))
		return head_odd("has its memory out of order");
	h->loads[h->num_loads++] = (struct qemu_load){ p->paddr, p->size, p->off };
	return NULL;
}

/* All program headers are there: find the end of the notes, and the memory. */
static struct gdump_error *head_phdrs(struct qemu_head *h, const struct ehdr *e, uint64_t end)
{
	struct cursor table = cursor_init(h->buf + e->phoff, h->len - e->phoff, e->big, e->is64);
	struct gdump_error *err = NULL;
	struct cursor c = table;
	struct phdr p;

	h->size = (size_t)end;
	for (uint64_t i = 0; i < e->phnum; i++) {
		p = head_phdr(&c);
		if (p.type == PT_NOTE && !range_fits(p.off, p.size, HEAD_MAX))
			return head_odd("has too many notes");
		if (p.type == PT_NOTE)
			h->size = (size_t)MAX((uint64_t)h->size, p.off + p.size);
	}
	free(h->loads);
	h->num_loads = 0;
	h->loads = calloc((size_t)e->phnum + 1, sizeof(*h->loads));
	if (!h->loads)
		return error_nomem();
	c = table;
	for (uint64_t i = 0; !err && i < e->phnum; i++) {
		p = head_phdr(&c);
		if (p.type == PT_LOAD && p.size)
			err = head_add_load(h, &p);
	}
	return err;
}

/* How many bytes it takes for the next step, as far as can be told by now. */
static struct gdump_error *head_step(struct qemu_head *h, uint64_t *need)
{
	struct gdump_error *err;
	struct ehdr e = { 0 };

	err = head_ehdr(h, &e);
	if (err || (e.phnum == PN_XNUM && !head_xnum(h, &e, need)))
		return err;
	if (e.phoff > HEAD_MAX || e.phnum > HEAD_MAX / sizeof(Elf64_Phdr))
		return head_odd("has program headers without end");
	*need = e.phoff + e.phnum * (e.is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr));
	if (*need > h->len)
		return NULL;
	err = head_phdrs(h, &e, *need);
	if (err)
		return err;
	*need = h->size;
	if (h->with_data && h->num_loads)
		*need = h->loads[0].off + h->loads[0].size;
	return NULL;
}

static struct gdump_error *head_parse(struct qemu_head *h)
{
	struct gdump_error *err;
	uint64_t need = 0;

	err = head_step(h, &need);
	if (err)
		return err;
	if (need > HEAD_MAX)
		return head_odd("has headers of an absurd size");
	h->done = need <= h->len;
	h->need = (size_t)need;
	return NULL;
}

static void head_close_pipe(struct qemu_head *h)
{
	/* without ready() there is none yet, and 0 is no descriptor of ours */
	if (h->pump.ready && h->pump.fd >= 0)
		close(h->pump.fd);
	h->pump.fd = -1;
}

/* The pipe has something: take as much of it as is known to be of use. */
static struct gdump_error *head_ready(struct qmp_pump *pump)
{
	struct qemu_head *h = (struct qemu_head *)pump;
	struct gdump_error *err = NULL;
	unsigned char unused[16384];
	unsigned char *buf;
	ssize_t n;

	if (h->cap < h->need) {
		buf = realloc(h->buf, h->need);
		if (!buf)
			return error_nomem();
		h->buf = buf;
		h->cap = h->need;
	}
	if (h->done)
		n = read(h->pump.fd, unused, sizeof(unused));
	else
		n = read(h->pump.fd, h->buf + h->len, h->need - h->len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? NULL :
		       error_os(errno, "cannot read QEMU's dump from a pipe");
	if (!n)
		head_close_pipe(h);
	if (!n || h->done)
		return NULL;
	h->len += (size_t)n;
	if (h->len == h->need)
		err = head_parse(h);
	if (!err && h->done && h->cut)
		head_close_pipe(h);
	return err;
}

/* Make the pipe and give QEMU its end. */
static struct gdump_error *dump_pipe(struct qmp *q, struct qemu_head *h)
{
	struct gdump_error *err;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return error_os(errno, "cannot make a pipe");
	h->pump = (struct qmp_pump){ .fd = fds[0], .ready = head_ready };
	h->need = sizeof(Elf64_Ehdr);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	/* large to be faster (no matter if it may not be), or small, as what QEMU
	 * writes into it is read from the guest, and allocated there
	 */
	fcntl(fds[0], F_SETPIPE_SZ, h->cut ? 4096 : PIPE_SIZE);
	err = h->guarded ? guest_guard_pipe(h->guarded, FD_NAME, fds[0]) : NULL;
	if (!err)
		err = qmp_send_fd(q, FD_NAME, fds[1]);
	close(fds[1]);
	return err;
}

static struct gdump_error *dump_run(struct qmp *q, struct qemu_extent extent, bool detach,
				    struct qemu_head *h)
{
	struct gdump_error *err = dump_pipe(q, h);
	struct qmp_command cmd = {
		.name = "dump-guest-memory",
		.timeout_ms = qmp_timeout_ms(q) * PATIENCE,
		.pump = detach ? NULL : &h->pump,
	};

	if (err)
		return err;
	cmd.args = json_pack("{s:b, s:s, s:b}", "paging", 0, "protocol", "fd:" FD_NAME,
			     "detach", detach);
	if (cmd.args && extent.length &&
	    (json_object_set_new(cmd.args, "begin", json_integer((json_int_t)extent.begin)) ||
	     json_object_set_new(cmd.args, "length", json_integer((json_int_t)extent.length))))
		json_decref(TAKE_PTR(cmd.args));
	return cmd.args ? qmp_run(q, &cmd, NULL) : error_nomem();
}

/* Read on, until the head is there (@enough) or to the end. */
static struct gdump_error *dump_read_head(struct qmp *q, struct qemu_head *h, bool enough)
{
	struct gdump_error *err = qmp_drain(q, &h->pump, enough ? &h->done : NULL,
					    "the headers of its dump");

	if (!err && !h->done)
		err = head_odd("ends within its headers");
	return err;
}

struct gdump_error *qemu_dump_notes(struct qmp *q, struct qemu_extent extent,
				    struct qemu_head *head)
{
	struct gdump_error *err;

	head->with_data = true;
	err = dump_run(q, extent, false, head);
	return err ? err : dump_read_head(q, head, false);
}

struct gdump_error *qemu_dump_loads(struct qmp *q, struct qemu_extent extent,
				    struct qemu_head *head)
{
	struct gdump_error *err;
	const char *refusal;

	head->cut = true;
	err = dump_run(q, extent, false, head);
	if (!err)
		return dump_read_head(q, head, false);
	/* that it could not write the rest is what we wanted */
	refusal = qmp_refusal(q);
	if (refusal && (head->done || strstr(refusal, "no guest memory"))) {
		gdump_error_destroy(err);
		return NULL;
	}
	return err;
}

struct gdump_error *qemu_dump_start(struct qmp *q, struct qemu_extent extent,
				    struct qemu_head *head)
{
	struct gdump_error *err = dump_run(q, extent, true, head);

	return err ? err : dump_read_head(q, head, true);
}

struct gdump_error *qemu_dump_end(struct qmp *q, struct qemu_head *head)
{
	uint64_t timeout_us = (uint64_t)qmp_timeout_ms(q) * PATIENCE * 1000, begun = clock_us();
	struct gdump_error *err;
	bool active;

	head_close_pipe(head);
	for (int wait_ms = 1;; wait_ms = MIN(wait_ms * 2, 100)) {
		err = guest_dump_active(q, &active);
		if (err || !active)
			return err;
		if (clock_us() - begun > timeout_us)
			return error_new(GDUMP_ERR_REMOTE, "QEMU does not end its dump");
		poll(NULL, 0, wait_ms);
	}
}

void qemu_head_deinit(struct qemu_head *head)
{
	head_close_pipe(head);
	free(head->buf);
	free(head->loads);
	*head = (struct qemu_head){ 0 };
}

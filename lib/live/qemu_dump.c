/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_dump.c - QEMU's own dump-guest-memory, into a pipe of ours
 *
 * QEMU gets the other end of the pipe by getfd.  It answers a dump that is not detached
 * only when all of it is written, so a qmp_pump reads the pipe while we wait for the
 * answer.
 *
 * The head is parsed in steps: the ELF header contains the size of the program headers,
 * and these contain the end of the notes.
 */
#include "qemu_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"

enum {
	PIPE_SIZE = 1 << 20,
	PATIENCE = 4,                   /* times the usual time-out             */
};
#define HEAD_MAX ((uint64_t)256 << 20)
#define FD_NAME  "guestdump"

static void head_forget_phdrs(struct qemu_head *h)
{
	elf_header_deinit(&h->elf);
	free(h->loads);
	h->loads = NULL;
	h->num_loads = 0;
}

static struct gdump_error *head_bad(const char *what)
{
	return qmp_bad_answer("dump-guest-memory", "is a dump that %s", what);
}

static struct gdump_error *head_parse_ehdr(struct qemu_head *h)
{
	CLEANUP_ERROR struct gdump_error *err = elf_header_parse(h->buf, h->len, &h->elf);

	if (err)
		return qmp_bad_answer("dump-guest-memory", "is not a dump: %s",
				      gdump_error_message(err));
	if (h->elf.phentsize != elf_phdr_size(h->elf.is64))
		return head_bad("has program headers of an unknown size");
	return NULL;
}

/* The true number of program headers, if there are too many for the header; false: more
 * bytes are needed, *@need in all.
 */
static bool head_parse_xnum(struct qemu_head *h, uint64_t *need)
{
	struct elf_header *e = &h->elf;

	*need = e->shoff <= HEAD_MAX ? e->shoff + elf_shdr_size(e->is64) : UINT64_MAX;
	if (*need > h->len)
		return false;
	elf_header_parse_xnum(e, h->buf + e->shoff);
	return true;
}

static struct gdump_error *head_add_load(struct qemu_head *h, const struct elf_phdr *p)
{
	const struct qemu_load *last = h->num_loads ? &h->loads[h->num_loads - 1] : NULL;
	const uint64_t size = p->filesz;

	if (p->off < h->size || p->paddr + size < p->paddr || p->off + size < p->off ||
	    (last && (p->off < last->off + last->size || p->paddr < last->paddr + last->size)))
		return head_bad("has its memory out of order");
	h->loads[h->num_loads++] = (struct qemu_load){ p->paddr, size, p->off };
	return NULL;
}

/* All @end bytes of headers are there: find the end of the notes, and the memory. */
static struct gdump_error *head_parse_phdrs(struct qemu_head *h, uint64_t end)
{
	const size_t num = (size_t)h->elf.phnum, size = h->elf.phentsize;
	struct gdump_error *err = NULL;

	head_forget_phdrs(h);
	h->elf.phdrs = calloc(num + 1, sizeof(*h->elf.phdrs));
	h->loads = calloc(num + 1, sizeof(*h->loads));
	if (!h->elf.phdrs || !h->loads)
		return error_nomem();
	h->size = (size_t)end;
	for (size_t i = 0; i < num; i++) {
		struct elf_phdr *p = &h->elf.phdrs[i];

		*p = elf_phdr_parse(&h->elf, h->buf + h->elf.phoff + i * size);
		if (p->type == PT_NOTE && !range_fits(p->off, p->filesz, HEAD_MAX))
			return head_bad("has too many notes");
		if (p->type == PT_NOTE)
			h->size = (size_t)MAX((uint64_t)h->size, p->off + p->filesz);
	}
	for (size_t i = 0; !err && i < num; i++) {
		if (h->elf.phdrs[i].type == PT_LOAD && h->elf.phdrs[i].filesz)
			err = head_add_load(h, &h->elf.phdrs[i]);
	}
	return err;
}

/* How many bytes the next step needs, as far as that is known by now */
static struct gdump_error *head_step(struct qemu_head *h, uint64_t *need)
{
	const struct elf_header *e = &h->elf;
	struct gdump_error *err = head_parse_ehdr(h);

	if (err || (e->phnum == PN_XNUM && !head_parse_xnum(h, need)))
		return err;
	if (e->phoff > HEAD_MAX || e->phnum > HEAD_MAX / sizeof(Elf64_Phdr))
		return head_bad("has program headers without end");
	*need = e->phoff + e->phnum * e->phentsize;
	if (*need > h->len)
		return NULL;
	err = head_parse_phdrs(h, *need);
	if (err)
		return err;
	*need = h->size;
	if (h->with_data && h->num_loads)
		*need = h->loads[0].off + MIN(h->loads[0].size, (uint64_t)h->with_data);
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
		return head_bad("has headers of an absurd size");
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

/* Make room for what the next step needs. */
static struct gdump_error *head_grow(struct qemu_head *h)
{
	unsigned char *buf;

	if (h->cap >= h->need)
		return NULL;
	buf = realloc(h->buf, h->need);
	if (!buf)
		return error_nomem();
	h->buf = buf;
	h->cap = h->need;
	return NULL;
}

/* @n more bytes are in the buffer. */
static struct gdump_error *head_received(struct qemu_head *h, size_t n)
{
	h->len += n;
	return h->len == h->need ? head_parse(h) : NULL;
}

size_t qemu_head_needs(struct qemu_head *h)
{
	if (!h->need)
		h->need = sizeof(Elf64_Ehdr);
	return h->done ? 0 : h->need - h->len;
}

struct gdump_error *qemu_head_feed(struct qemu_head *h, const void *data, size_t len)
{
	struct gdump_error *err = head_grow(h);

	if (err)
		return err;
	memcpy(h->buf + h->len, data, len);
	return head_received(h, len);
}

/* The pipe has something: take as much of it as is known to be of use. */
static struct gdump_error *head_ready(struct qmp_pump *pump)
{
	struct qemu_head *h = (struct qemu_head *)pump;
	struct gdump_error *err = head_grow(h);
	unsigned char unused[16384];
	ssize_t n;

	if (err)
		return err;
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
	err = head_received(h, (size_t)n);
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
	err = h->guarded ? guest_guard_pipe(h->guarded, FD_NAME, fds[0], h->may_break) : NULL;
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
		err = head_bad("ends within its headers");
	return err;
}

struct gdump_error *qemu_dump_notes(struct qmp *q, struct qemu_extent extent,
				    struct qemu_head *head)
{
	struct gdump_error *err;

	head->with_data = SIZE_MAX;
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
	head_forget_phdrs(head);
	*head = (struct qemu_head){ 0 };
}

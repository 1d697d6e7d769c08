/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_protected.c - the dump of a protected s390x guest, by KVM's ioctls
 *
 * Theory of operation.  INIT blocks all CPUs of the guest, and only COMPLETE unblocks
 * them.  So ->active is true from INIT until COMPLETE has succeeded, and capture_end()
 * retries COMPLETE until then.  Two errors are ambiguous:
 *
 * - EINVAL comes from KVM, which leaves rc and rrc at 0 (there is no dump; our arguments
 *   are not wrong), or from the Ultravisor, which sets both.  If COMPLETE fails so in KVM,
 *   the CPUs are not blocked; if in the Ultravisor, they still are.
 * - EFAULT may come after the work was done.  After INIT, the dump is ended again.  After
 *   COMPLETE, its data may be lost; a second COMPLETE shows whether the first one was done.
 *
 * The firmware's codes are not public, not even the one for "the owner did not allow it",
 * so messages show them.
 *
 * Facts: Linux's arch/s390/kvm/kvm-s390.c and pv.c, QEMU's target/s390x.
 */
#include "kvm_protected.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/arch.h"
#include "../machine/source.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../pv/cpu.h"
#include "../pv/keys.h"
#include "kvm_abi.h"
#include "../pv/meta.h"

enum {
	MIB = 1 << 20,
	STATES_OF_MIB = MIB / PV_PAGE * PV_COMPONENT,
	MAX_DATA = 1 << 20,             /* bytes for a CPU, or for the completion */
	COMPLETE_TRIES = 5, RETRY_MS = 20,
};

struct capture {
	struct capture_guest guest;
	struct pv_info sizes;
	struct image image;             /* the image to be written              */
	bool active;                    /* the guest's CPUs are or may be blocked */
	uint64_t *lost;                 /* a bit for each page, in file order; NULL: none is lost */
	pthread_mutex_t lock;           /* guards lost                          */
};

/* The result of a command: errno or 0, and the codes of the Ultravisor */
struct answer {
	int errnum;
	unsigned int rc, rrc;
};

static struct answer capture_run(const struct capture *c, int fd, uint32_t cmd, void *data)
{
	const unsigned long request = fd == c->guest.vm_fd ? PV_VM_COMMAND : PV_CPU_COMMAND;
	struct pv_cmd arg;
	int rc;

	do {
		arg = (struct pv_cmd){ .cmd = cmd, .data = (uintptr_t)data };
		rc = c->guest.ioctl(fd, request, &arg);
	} while (rc < 0 && errno == EINTR);
	return (struct answer){ .errnum = rc < 0 ? errno : 0, .rc = arg.rc, .rrc = arg.rrc };
}

/* One step of a dump: @dmp without its buffer, which is @buf of @len bytes. */
static struct answer capture_run_dump(const struct capture *c, int fd, struct pv_dmp dmp, void *buf,
				      size_t len)
{
	dmp.buff_addr = (uintptr_t)buf;
	dmp.buff_len = len;
	return capture_run(c, fd, PV_CMD_DUMP, &dmp);
}

static bool answer_is_of_ultravisor(const struct answer *a)
{
	return a->rc || a->rrc;
}

/* @what failed. */
static struct gdump_error *answer_error(const struct answer *a, const char *what)
{
	if (answer_is_of_ultravisor(a))
		return error_new(GDUMP_ERR_REMOTE,
				 "%s: the Ultravisor returned rc 0x%04x, rrc 0x%04x",
				 what, a->rc, a->rrc);
	if (a->errnum == EIO)
		return error_new(GDUMP_ERR_REMOTE,
				 "%s: KVM accepts commands only from the process that created the VM, while it lives",
				 what);
	if (a->errnum == ENOTTY)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "%s: this host's KVM cannot dump protected guests", what);
	return error_os(a->errnum, "%s", what);
}

static struct gdump_error *capture_get_sizes(struct capture *c)
{
	struct pv_info *s = &c->sizes;
	struct answer a;

	if (c->guest.ioctl(c->guest.vm_fd, PV_CHECK_EXTENSION,
			   (void *)(uintptr_t)CAP_S390_PROTECTED_DUMP) <= 0)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "this host cannot dump protected guests: it has no KVM_CAP_S390_PROTECTED_DUMP");
	*s = (struct pv_info){ .id = PV_INFO_DUMP, .len_max = sizeof(*s) };
	a = capture_run(c, c->guest.vm_fd, PV_CMD_INFO, s);
	if (a.errnum)
		return answer_error(&a, "KVM_PV_INFO");
	if (s->len_written < sizeof(*s) || s->per_1m != STATES_OF_MIB ||
	    s->cpu_len < PV_CPU_SIZE || s->cpu_len > MAX_DATA ||
	    s->finalize_len < PV_COMPLETION_SIZE || s->finalize_len > MAX_DATA)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "this host writes protected dumps of an unknown form: %" PRIu64
				 " bytes for a CPU, %" PRIu64 " for a MiB, %" PRIu64 " at the end",
				 s->cpu_len, s->per_1m, s->finalize_len);
	return NULL;
}

/* KVM gives such a guest memory in whole MiBs only. */
static struct gdump_error *capture_check_ranges(const struct image *image)
{
	for (size_t i = 0; i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];

		if (r->start % MIB || r->size % MIB)
			return error_new(GDUMP_ERR_USAGE,
					 "the range of 0x%" PRIx64 " bytes at 0x%" PRIx64
					 " is not in whole MiBs, as a protected guest needs",
					 r->size, r->start);
	}
	return NULL;
}

struct gdump_error *capture_open(const struct capture_guest *guest, struct capture **ret)
{
	struct capture *c = calloc(1, sizeof(*c));
	struct gdump_error *err;

	if (!c)
		return error_nomem();
	c->guest = *guest;
	pthread_mutex_init(&c->lock, NULL);
	err = capture_check_ranges(guest->image);
	if (!err)
		err = capture_get_sizes(c);
	if (err) {
		capture_close(c);
		return err;
	}
	*ret = c;
	return NULL;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	image_deinit(&c->image);
	pthread_mutex_destroy(&c->lock);
	free(c->lost);
	free(c);
}

bool capture_is_active(const struct capture *c)
{
	return c->active;
}

/* Retry COMPLETE until it is done or there is nothing to complete; @got: @buf has its data. */
static struct answer capture_try_complete(struct capture *c, void *buf, bool *got)
{
	const struct pv_dmp dmp = { .subcmd = PV_DUMP_COMPLETE };
	struct answer a = { 0 };

	*got = false;
	for (int i = 0; i < COMPLETE_TRIES; i++) {
		if (i)
			poll(NULL, 0, RETRY_MS);
		a = capture_run_dump(c, c->guest.vm_fd, dmp, buf, (size_t)c->sizes.finalize_len);
		*got = !a.errnum;
		c->active = !*got && !(a.errnum == EINVAL && !answer_is_of_ultravisor(&a));
		if (!c->active || a.errnum == EIO)
			break;
	}
	return a;
}

static struct gdump_error *capture_still_blocked(const struct answer *a)
{
	return error_prefix(answer_error(a, "KVM_PV_DUMP_COMPLETE"),
			    "the dump could not be ended; the guest cannot run until it is");
}

size_t capture_complete_size(const struct capture *c)
{
	return (size_t)c->sizes.finalize_len;
}

struct gdump_error *capture_complete(struct capture *c, void *buf)
{
	bool got;
	const struct answer a = capture_try_complete(c, buf, &got);

	if (got)
		return NULL;
	if (c->active)
		return capture_still_blocked(&a);
	return error_new(GDUMP_ERR_REMOTE,
			 "KVM_PV_DUMP_COMPLETE: its data is lost, so the dump could not be decrypted");
}

struct gdump_error *capture_end(struct capture *c)
{
	CLEANUP_FREE void *buf = NULL;
	struct answer a;
	bool got;

	if (!c->active)
		return NULL;
	buf = malloc((size_t)c->sizes.finalize_len);
	if (!buf)
		return error_nomem();
	a = capture_try_complete(c, buf, &got);
	return c->active ? capture_still_blocked(&a) : NULL;
}

static struct gdump_error *capture_init(struct capture *c)
{
	const struct answer a = capture_run_dump(c, c->guest.vm_fd,
					 (struct pv_dmp){ .subcmd = PV_DUMP_INIT }, NULL, 0);
	CLEANUP_ERROR struct gdump_error *end_err = NULL;

	c->active = !a.errnum || a.errnum == EFAULT;
	if (!a.errnum)
		return NULL;
	end_err = capture_end(c);
	if (a.errnum == EINVAL && answer_is_of_ultravisor(&a))
		return error_new(GDUMP_ERR_PROTECTED,
				 "the Ultravisor refused the dump (rc 0x%04x, rrc 0x%04x): most likely the guest's owner does not allow dumps, as its header was created without --enable-dump",
				 a.rc, a.rrc);
	if (a.errnum == EINVAL)
		return error_new(GDUMP_ERR_REMOTE,
				 "KVM refused the dump: another program is dumping the guest, or it is not protected");
	return answer_error(&a, "KVM_PV_DUMP_INIT");
}

static void capture_lose_cpu(struct capture *c, size_t cpu, const struct answer *a)
{
	CLEANUP_ERROR struct gdump_error *err = answer_error(a, "KVM_PV_DUMP_CPU");

	err = error_prefix(err, "the registers of CPU %zu are not in the dump", cpu);
	c->image.num_lost_cpus++;
	if (c->guest.warn)
		c->guest.warn(c->guest.warn_arg, gdump_error_message(err));
}

/* Add the encrypted registers of a CPU as a note, after the notes that the host made.  If they
 * cannot be read, the dump is still useful; a note of zeros would mislead other readers.
 */
static struct gdump_error *capture_add_cpu(struct capture *c, size_t cpu)
{
	const size_t len = (size_t)c->sizes.cpu_len;
	CLEANUP_FREE void *buf = calloc(1, len);
	struct gdump_error *err = buf ? NULL : error_nomem();
	const struct gdump_note *n;
	struct answer a;

	for (size_t i = 0; !err && (n = image_cpu_note(c->guest.image, cpu, i)); i++)
		err = image_add_note(&c->image, n->name, n->type, n->desc, n->size);
	if (err)
		return err;
	a = capture_run_dump(c, c->guest.vcpu_fds[cpu], (struct pv_dmp){ .subcmd = PV_DUMP_CPU },
			     buf, len);
	if (!a.errnum)
		return image_add_note(&c->image, "LINUX", NT_PV_CPU_DATA, buf, len);
	capture_lose_cpu(c, cpu, &a);
	return NULL;
}

static struct gdump_error *capture_make_image(struct capture *c)
{
	const struct image *from = c->guest.image;
	struct gdump_error *err = NULL;

	c->image.machine = from->machine;
	c->image.is64 = from->is64;
	c->image.big = from->big;
	c->image.page_size = from->page_size;
	for (size_t i = 0; !err && i < from->num_ranges; i++)
		err = image_add_range(&c->image, from->ranges[i].start, from->ranges[i].size,
				      GDUMP_RANGE_RAM);
	for (size_t cpu = 0; !err && cpu < c->guest.num_cpus; cpu++)
		err = capture_add_cpu(c, cpu);
	for (size_t i = 0; !err && i < from->num_notes; i++) {
		const struct gdump_note *n = &from->notes[i];

		if (n->cpu < 0)
			err = image_add_note(&c->image, n->name, n->type, n->desc, n->size);
	}
	c->image.num_cpus = c->guest.num_cpus;
	return err ? err : image_seal(&c->image);
}

struct gdump_error *capture_begin(struct capture *c, const struct image **image)
{
	struct gdump_error *err, *end_err;

	image_deinit(&c->image);        /* of an earlier dump */
	free(TAKE_PTR(c->lost));
	err = capture_init(c);
	if (err)
		return err;
	err = capture_make_image(c);
	if (err) {
		end_err = capture_end(c);
		if (end_err)
			err = error_prefix(err, "%s", gdump_error_message(end_err));
		gdump_error_destroy(end_err);
		return err;
	}
	*image = &c->image;
	return NULL;
}

uint64_t capture_states_size(const struct capture *c)
{
	uint64_t size = 0;

	for (size_t i = 0; i < c->guest.image->num_ranges; i++)
		size += c->guest.image->ranges[i].size / MIB * STATES_OF_MIB;
	return size;
}

/* The number of the page at @paddr in file order; UINT64_MAX: there is none */
static uint64_t capture_page_index(const struct capture *c, uint64_t paddr)
{
	const struct image *image = c->guest.image;
	uint64_t index = 0;

	for (size_t i = 0; i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];

		if (paddr >= r->start && paddr - r->start < r->size)
			return index + (paddr - r->start) / PV_PAGE;
		index += r->size / PV_PAGE;
	}
	return UINT64_MAX;
}

void capture_lose(struct capture *c, uint64_t paddr)
{
	const uint64_t index = capture_page_index(c, paddr);
	const uint64_t num = capture_states_size(c) / PV_COMPONENT;

	pthread_mutex_lock(&c->lock);
	if (!c->lost)
		c->lost = calloc((size_t)div_up(num, 64), sizeof(*c->lost));
	if (c->lost && index < num)
		bit_set(c->lost, index);
	pthread_mutex_unlock(&c->lock);
}

/* Ask for the states of whole MiBs of one range. */
static struct gdump_error *capture_store_states(struct capture *c, uint64_t gaddr, void *buf,
						size_t len)
{
	const struct pv_dmp dmp = { .subcmd = PV_DUMP_STOR_STATE, .gaddr = gaddr };
	const struct answer a = capture_run_dump(c, c->guest.vm_fd, dmp, buf, len);

	return a.errnum ? error_prefix(answer_error(&a, "KVM_PV_DUMP_CONFIG_STOR_STATE"),
				       "cannot read the states of the pages from 0x%" PRIx64 " on", gaddr) :
			  NULL;
}

/* Mark pages that could not be read, which are zero in the file, for the reader who decrypts. */
static void capture_mark_lost(const struct capture *c, uint64_t index, unsigned char *buf,
			      size_t len)
{
	for (size_t i = 0; c->lost && i < len / PV_COMPONENT; i++) {
		unsigned char *component = buf + i * PV_COMPONENT;

		if (!bit_test(c->lost, index + i))
			continue;
		memset(component, 0, PV_COMPONENT);
		memset(component, 0xff, 4);
	}
}

struct gdump_error *capture_states(struct capture *c, uint64_t off, void *buf, size_t len)
{
	const struct image *image = c->guest.image;
	uint64_t begin = 0;             /* of the range's states */
	unsigned char *p = buf;
	uint64_t at = off;
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < image->num_ranges && p < (unsigned char *)buf + len; i++) {
		const struct gdump_range *r = &image->ranges[i];
		const uint64_t size = r->size / MIB * STATES_OF_MIB;
		const size_t left = len - (size_t)(p - (unsigned char *)buf);

		if (at - begin < size) {
			const size_t n = (size_t)MIN(size - (at - begin), (uint64_t)left);

			err = capture_store_states(c, r->start + (at - begin) / STATES_OF_MIB * MIB,
						   p, n);
			p += n;
			at += n;
		}
		begin += size;
	}
	if (!err)
		capture_mark_lost(c, off / PV_COMPONENT, buf, len);
	return err;
}

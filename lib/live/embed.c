/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * embed.c - a guest of this very process, as its VMM describes it
 *
 * Theory of operation.  The guest's memory is mapped into this process.  The pipeline
 * borrows the pages of a paused guest in place.  As with other processes (see procmem.h),
 * the kernel is asked first which pages are populated, so that reading the others does not
 * allocate them.  The pages of a guest that keeps running are copied by the kernel, which
 * reports broken memory instead of killing the VMM.
 *
 * The guest counts as paused from the moment pause() succeeded until resume() succeeds.
 * Every way out passes through embed_resume().
 *
 * The memory of a protected guest is encrypted when we read it, and is useful only in a
 * dump of the whole guest (see kvm_protected.h): outside of one it is locked.  The kernel
 * always copies it, because an access to a page that cannot be encrypted would kill this
 * process.  The guest is not resumed before that dump has ended.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/debug.h"
#include "kvm_protected.h"
#include "live.h"
#include "memory_map.h"
#include "pause_limit.h"

struct embed {
	struct source source;
	struct source_ops ops;          /* those of a protected guest have pv_dump */
	struct gdump_guest guest;       /* its arrays are used only while it is opened */
	struct gdump_open_options opt;
	struct memory_map map;
	struct procmem *mem;            /* which pages are populated; NULL: unknown */
	struct capture *capture;        /* NULL: the guest is not protected     */
	int *vcpu_fds;
	struct pv_dump_section sections[3];     /* of a protected guest's dump  */
	struct pause_limit limit;
	bool paused;                    /* by us                                */
	uint64_t pause_us;              /* when it was paused                   */
	uint64_t paused_us;             /* how long it was paused, up to the last resume */
};

/* Where the callback notes() adds the notes of a CPU */
struct gdump_notes {
	struct image *image;
	struct gdump_error *err;        /* the first error                      */
};

void gdump_note_add(struct gdump_notes *to, const char *name, uint32_t type, const void *desc,
		    size_t size)
{
	if (!to->err)
		to->err = image_add_note(to->image, name, type, desc, size);
}

/* Where the memory from @paddr on is mapped; shortens *len to what is contiguous there.
 * NULL: the guest has no memory at @paddr.
 */
static const unsigned char *embed_host_at(const struct embed *e, uint64_t paddr, size_t *len)
{
	const size_t i = memory_map_find(&e->map, paddr);
	const struct mem_slot *s = &e->map.slots[i];

	if (i == e->map.num_slots || paddr < s->paddr)
		return NULL;
	*len = (size_t)MIN(s->size - (paddr - s->paddr), (uint64_t)*len);
	return (const unsigned char *)(uintptr_t)s->hva + (paddr - s->paddr);
}

/* Copy our own memory by a system call, which reports what cannot be read.  Where the VMM's
 * sandbox forbids the call or an emulator lacks it, use memcpy().
 */
static struct gdump_error *embed_copy_self(const unsigned char *from, void *buf, size_t len)
{
	while (len) {
		const struct iovec remote = { .iov_base = (void *)(uintptr_t)from, .iov_len = len };
		const struct iovec local = { .iov_base = buf, .iov_len = len };
		const ssize_t n = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

		if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
			memcpy(buf, from, len);
			return NULL;
		}
		if (n <= 0 && (!n || errno == EFAULT))
			return error_new(GDUMP_ERR_NODATA,
					 "the host cannot read it: is the memory broken?");
		if (n < 0)
			return error_os(errno, "cannot read the guest's memory");
		from += n;
		buf = (char *)buf + n;
		len -= (size_t)n;
	}
	return NULL;
}

static struct gdump_error *embed_usable(const struct source *s)
{
	const struct embed *e = (const struct embed *)s;

	if (!e->capture || capture_is_active(e->capture))
		return NULL;
	return error_new(GDUMP_ERR_PROTECTED,
			 "the guest is protected, so its memory is encrypted: dump all of it as ELF; only its owner can decrypt the dump");
}

static struct gdump_error *embed_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct embed *e = (struct embed *)s;
	struct gdump_error *err = embed_usable(s);

	while (!err && len) {
		size_t n = len;
		const unsigned char *host = embed_host_at(e, paddr, &n);

		err = host ? embed_copy_self(host, buf, n) :
			     error_new(GDUMP_ERR_NODATA, "the guest has no such memory");
		if (err && e->capture && len == s->image.page_size)
			capture_lose(e->capture, paddr);
		if (err)
			return error_prefix(err, "guest memory at 0x%" PRIx64, paddr);
		paddr += n;
		buf = (char *)buf + n;
		len -= n;
	}
	return err;
}

static struct gdump_error *embed_scan(struct source *s, uint64_t pfn, size_t num,
				      unsigned char *state, bool holes)
{
	struct embed *e = (struct embed *)s;
	const struct page_scan scan = { .pfn = pfn, .num = num,
					.page_size = s->image.page_size, .state = state };

	memset(state, PAGE_THERE, num);
	if (holes && e->mem)
		memory_map_scan(&e->map, e->mem, &scan);
	return NULL;
}

static const void *embed_borrow(struct source *s, uint64_t paddr, size_t len)
{
	struct embed *e = (struct embed *)s;
	size_t n = len;
	const void *host = e->capture ? NULL : embed_host_at(e, paddr, &n);

	return n == len ? host : NULL;
}

static struct gdump_error *embed_pause(struct embed *e)
{
	int rc;

	if (!e->guest.pause || e->paused)
		return NULL;
	e->pause_us = clock_us();
	rc = e->guest.pause(e->guest.arg);
	if (rc)
		return error_os(rc, "cannot pause the guest");
	e->paused = true;
	debug_log(&e->source.debug, GDUMP_DEBUG_STEP, "the guest is paused");
	return NULL;
}

static struct gdump_error *embed_resume(struct source *s)
{
	struct embed *e = (struct embed *)s;
	struct gdump_error *err = e->capture ? capture_end(e->capture) : NULL;
	int rc;

	if (err || !e->paused)
		return err;
	rc = e->guest.resume(e->guest.arg);
	if (rc)
		return error_os(rc, "the guest is still paused and could not be resumed");
	e->paused = false;
	e->paused_us += clock_us() - e->pause_us;
	e->source.is_mutable = true;
	debug_log(&e->source.debug, GDUMP_DEBUG_STEP, "the guest is resumed after %.1f ms",
		  (double)e->paused_us / 1000);
	return NULL;
}

static uint64_t embed_paused_us(const struct source *s)
{
	const struct embed *e = (const struct embed *)s;

	return e->paused_us + (e->paused ? clock_us() - e->pause_us : 0);
}

static struct gdump_error *embed_overdue(struct source *s, uint64_t progress)
{
	struct embed *e = (struct embed *)s;

	pause_limit_note(&e->limit, progress);
	return e->paused ? pause_limit_check(&e->limit, clock_us() - e->pause_us) : NULL;
}

static void embed_close(struct source *s)
{
	struct embed *e = (struct embed *)s;
	CLEANUP_ERROR struct gdump_error *err = embed_resume(s);

	if (err && e->opt.warn)
		e->opt.warn(e->opt.warn_arg, gdump_error_message(err));
	procmem_close(e->mem);
	capture_close(e->capture);
	free(e->vcpu_fds);
	memory_map_deinit(&e->map);
	free(e);
}

enum { STATES, COMPLETION };

static struct gdump_error *embed_begin_dump(struct source *s, const struct image **image,
					    const struct pv_dump_section **sections)
{
	struct embed *e = (struct embed *)s;

	if (e->guest.pause && !e->paused)
		return error_new(GDUMP_ERR_USAGE,
				 "a protected guest must be paused while it is dumped, but it was resumed; open it again");
	*sections = e->sections;
	return capture_begin(e->capture, image);
}

static struct gdump_error *embed_fetch(struct source *s, size_t section, uint64_t off, void *buf,
				       size_t len)
{
	struct embed *e = (struct embed *)s;

	return section == STATES ? capture_states(e->capture, off, buf, len) :
				   capture_complete(e->capture, buf);
}

static struct gdump_error *embed_end_dump(struct source *s)
{
	return capture_end(((struct embed *)s)->capture);
}

static const struct guest_ops embed_guest = {
	.resume = embed_resume,
	.paused_us = embed_paused_us,
	.overdue = embed_overdue,
};

static const struct encryption_ops embed_encryption = {
	.usable = embed_usable,
};

static const struct pv_dump_ops embed_pv_dump = {
	.begin = embed_begin_dump,
	.fetch = embed_fetch,
	.end = embed_end_dump,
};

static const struct source_ops embed_ops = {
	.name = "guest",
	.read = embed_read,
	.scan = embed_scan,
	.borrow = embed_borrow,
	.guest = &embed_guest,
	.encryption = &embed_encryption,
	.close = embed_close,
};

static int embed_by_paddr(const void *a, const void *b)
{
	const struct mem_slot *x = a, *y = b;

	return (x->paddr > y->paddr) - (x->paddr < y->paddr);
}

static struct gdump_error *embed_check_slots(const struct embed *e)
{
	for (size_t i = 0; i < e->map.num_slots; i++) {
		const struct mem_slot *s = &e->map.slots[i];

		if (!s->hva || !s->size || s->paddr + (s->size - 1) < s->paddr ||
		    s->hva + (s->size - 1) < s->hva)
			return error_new(GDUMP_ERR_USAGE, "the slot at 0x%" PRIx64
					 " has no memory", s->paddr);
		if (i && s->paddr <= s[-1].paddr + (s[-1].size - 1))
			return error_new(GDUMP_ERR_USAGE,
					 "two slots contain the address 0x%" PRIx64,
					 s->paddr);
	}
	return NULL;
}

static struct gdump_error *embed_take_slots(struct embed *e)
{
	const struct gdump_slot *from = e->guest.slots;
	struct gdump_error *err;

	e->map.slots = calloc(e->guest.num_slots + 1, sizeof(*e->map.slots));
	if (!e->map.slots)
		return error_nomem();
	for (size_t i = 0; i < e->guest.num_slots; i++)
		e->map.slots[e->map.num_slots++] = (struct mem_slot){
			.paddr = from[i].paddr, .size = from[i].size,
			.hva = (uintptr_t)from[i].host, .kind = from[i].kind,
		};
	qsort(e->map.slots, e->map.num_slots, sizeof(*e->map.slots), embed_by_paddr);
	err = embed_check_slots(e);
	return err ? err : memory_map_to_image(&e->map, &e->source.image);
}

/* Without the knowledge which pages are populated, all are read. */
static void embed_watch_slots(struct embed *e)
{
	CLEANUP_PROCMEM struct procmem *mem = NULL;
	CLEANUP_ERROR struct gdump_error *err = procmem_open(getpid(), &mem);

	for (size_t i = 0; !err && i < e->map.num_slots; i++)
		err = procmem_use(mem, e->map.slots[i].hva, e->map.slots[i].size);
	if (!err)
		e->mem = TAKE_PTR(mem);
}

static struct gdump_error *embed_take_machine(struct embed *e)
{
	struct image *image = &e->source.image;
	const struct arch *arch;
	struct utsname host;

	uname(&host);
	if (!e->guest.arch)
		e->guest.arch = host.machine;
	arch = arch_by_name(e->guest.arch, &image->big);
	if (!arch)
		return error_new(GDUMP_ERR_UNSUPPORTED, "architecture '%s' is unknown",
				 e->guest.arch);
	image->machine = arch->machine;
	image->is64 = arch->is64;
	image->page_size = e->guest.page_size;
	if (image->page_size && (!is_power_of_2(image->page_size) || image->page_size < 1024 ||
				 image->page_size > 1 << 20))
		return error_new(GDUMP_ERR_USAGE,
				 "the page size %u is invalid: it must be a power of two from 1024 to 1048576",
				 image->page_size);
	if (e->guest.num_cpus && !e->guest.notes &&
	    !(e->guest.vcpu_fds && kvm_arch && !strcmp(kvm_arch, arch->name)))
		return error_new(GDUMP_ERR_USAGE,
				 "the registers of its CPUs cannot be read: set notes() or, on %s, vcpu_fds",
				 kvm_arch ? kvm_arch : "other hosts");
	if (!e->guest.pause != !e->guest.resume)
		return error_new(GDUMP_ERR_USAGE,
				 "only one of pause() and resume() is set: set both or neither");
	return NULL;
}

static struct gdump_error *embed_add_notes(struct embed *e, kvm_ioctl_fn *fn, size_t cpu)
{
	struct gdump_notes to = { .image = &e->source.image };
	int rc;

	if (!e->guest.notes)
		return kvm_add_notes(fn, e->guest.vcpu_fds[cpu], cpu, to.image);
	rc = e->guest.notes(e->guest.arg, cpu, &to);
	if (!rc)
		return to.err;
	gdump_error_destroy(to.err);
	return error_os(rc, "cannot read its registers");
}

/* Pause the guest, at least while its registers are read. */
static struct gdump_error *embed_take_cpus(struct embed *e, kvm_ioctl_fn *fn)
{
	struct gdump_error *err = embed_pause(e);

	for (size_t cpu = 0; !err && cpu < e->guest.num_cpus; cpu++)
		err = error_prefix(embed_add_notes(e, fn, cpu), "CPU %zu", cpu);
	if (!err && !e->opt.pause_guest)
		err = embed_resume(&e->source);
	return err;
}

/* Prepare the dump of a protected guest: only a dump of the whole guest can be decrypted. */
static struct gdump_error *embed_protect(struct embed *e, kvm_ioctl_fn *fn)
{
	const struct gdump_guest *g = &e->guest;
	const struct capture_guest guest = {
		.ioctl = fn, .vm_fd = g->vm_fd, .vcpu_fds = e->vcpu_fds, .num_cpus = g->num_cpus,
		.image = &e->source.image, .warn = e->opt.warn, .warn_arg = e->opt.warn_arg,
	};
	struct gdump_error *err = capture_open(&guest, &e->capture);

	if (err)
		return err;
	e->sections[STATES] = (struct pv_dump_section){
		"pv_mem_meta", capture_states_size(e->capture)
	};
	e->sections[COMPLETION] = (struct pv_dump_section){
		"pv_compl", capture_complete_size(e->capture)
	};
	e->ops.pv_dump = &embed_pv_dump;
	return NULL;
}

/* Check what an encrypted guest needs, before anything is done to it. */
static struct gdump_error *embed_check_memory(struct embed *e)
{
	const struct gdump_guest *g = &e->guest;

	if (g->memory == GDUMP_MEMORY_PRIVATE && !e->opt.allow_encrypted)
		return error_new(GDUMP_ERR_PROTECTED,
				 "the memory is private to the guest: a dump of it would be useless");
	if (g->memory != GDUMP_MEMORY_S390_PV)
		return NULL;
	if (!g->vm_fd || !g->vcpu_fds)
		return error_new(GDUMP_ERR_USAGE,
				 "KVM dumps a protected guest: set vm_fd and vcpu_fds");
	if (!e->opt.pause_guest || e->opt.length)
		return error_new(GDUMP_ERR_USAGE,
				 "a protected guest can be dumped only as a whole and while it is paused");
	if (!arch_by_machine(e->source.image.machine)->pv_dumps)
		return error_new(GDUMP_ERR_USAGE,
				 "only a guest of architecture s390x can have memory of kind GDUMP_MEMORY_S390_PV");
	e->vcpu_fds = calloc(g->num_cpus + 1, sizeof(*e->vcpu_fds));
	if (!e->vcpu_fds)
		return error_nomem();
	memcpy(e->vcpu_fds, g->vcpu_fds, g->num_cpus * sizeof(*e->vcpu_fds));
	return NULL;
}

static struct gdump_error *embed_begin(struct embed *e, kvm_ioctl_fn *fn)
{
	struct image *image = &e->source.image;
	struct gdump_error *err;

	e->source.was_running = e->guest.pause;
	e->source.is_mutable = e->guest.pause && !e->opt.pause_guest;
	err = embed_take_machine(e);
	if (!err)
		err = embed_check_memory(e);
	if (!err)
		err = embed_take_slots(e);
	if (err)
		return err;
	embed_watch_slots(e);
	if (e->guest.pause && e->opt.pause_guest && e->opt.before_pause &&
	    e->opt.before_pause(e->opt.before_pause_arg, memory_map_size(&e->map)))
		return error_new(GDUMP_ERR_CANCELED, "canceled before the guest was paused");
	err = embed_take_cpus(e, fn);
	image->num_cpus = e->guest.num_cpus;
	snprintf(image->detail, sizeof(image->detail), "a guest of process %d", (int)getpid());
	if (!err)
		err = image_seal(image);
	if (!err && e->guest.memory == GDUMP_MEMORY_S390_PV)
		err = embed_protect(e, fn);
	return err;
}

struct gdump_error *embed_open(const struct gdump_guest *desc, const struct gdump_open_options *opt,
			       kvm_ioctl_fn *fn, struct source **ret)
{
	CLEANUP_SOURCE struct source *s = NULL;
	struct embed *e = calloc(1, sizeof(*e));
	struct gdump_error *err;

	if (!e)
		return error_nomem();
	s = &e->source;
	e->ops = embed_ops;
	source_init(s, &e->ops);
	e->guest = *desc;
	s->debug = debug_of(opt);
	e->opt = *opt;
	e->limit = pause_limit_of(opt);
	err = embed_begin(e, fn);
	if (err)
		return err;
	*ret = TAKE_PTR(s);
	return NULL;
}

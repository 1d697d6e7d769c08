/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wp_snapshot.c - memory of another process as it is at one moment, read while that process runs
 *
 * Theory of operation.  At that moment the process is stopped, and all the memory is
 * write-protected through a userfaultfd(2) of the process, that we have.  From then on, a thread
 * that wants to write to a protected page waits, and so does the kernel on its behalf: our
 * collector copies the page to a store, and only then removes the protection of that page.  So a
 * page that is still protected after we have copied it is as it was at the moment, and any other is
 * in the store, or was passed on from there.  That is what a background snapshot of QEMU does, with
 * us in the place of QEMU: readers are served by snapshot_view.c, and most of the memory is read
 * by prefetch.c.
 *
 * A page that the process gives back to the kernel (a balloon) loses the protection without a
 * question.  It is in no store, so it counts as lost.
 *
 * If we end, so does the descriptor, and the kernel removes the protection and wakes all who wait.
 *
 * Facts: ioctl_userfaultfd(2), and the kernel's Documentation/admin-guide/mm/userfaultfd.rst.
 */
#include "wp_snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "host_memory.h"
#include "prefetch.h"
#include "snapshot_view.h"

enum {
	POLL_MS = 20,                   /* for a thread that waits              */
	MAX_FAULTS = 64,                /* that are taken at once               */
	NAP_US = 500,                   /* when there is nothing to do          */
	RETRY_US = 100,                 /* while the process changes its memory map */
	/* since Linux 5.19 and 6.4: of shared memory, and of pages that do not exist yet */
	FEATURE_WP_SHMEM = 1 << 12,
	FEATURE_WP_UNPOPULATED = 1 << 13,
};

struct wp_snapshot {
	struct memory_map map;          /* @kind is RAM where it is protected   */
	struct procmem *mem;
	uint32_t page_size;
	int uffd;
	struct snapshot_view view;
	struct page_sink to_view;
	unsigned char *page;
	_Atomic uint64_t looked_us;     /* when the collector looked last       */
	_Atomic uint64_t stalled_us;
};

/* Before ------------------------------------------------------------------- */

/* Whether memory that does not exist yet is protected, too: since Linux 6.4.  We may have no
 * userfaultfd of our own to ask for it.
 */
static bool wp_snapshot_protects_all(void)
{
	unsigned int major, minor;
	struct utsname uts;

	return !uname(&uts) && sscanf(uts.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 4));
}

static struct gdump_error *wp_snapshot_check_slot(const struct mem_slot *s,
						  const struct procmem *mem)
{
	if ((s->hva | s->size) % procmem_page_size(mem))
		return error_new(GDUMP_ERR_REMOTE,
				 "the memory at 0x%" PRIx64 " does not consist of whole pages of this host", s->paddr);
	if (procmem_is_huge(mem, s->hva, s->size))
		return error_new(GDUMP_ERR_REMOTE,
				 "the memory at 0x%" PRIx64 " is in huge pages (hugetlbfs)", s->paddr);
	return NULL;
}

struct gdump_error *wp_snapshot_check(const struct memory_map *map, const struct procmem *mem,
				      uint32_t page_size)
{
	struct gdump_error *err = NULL;

	if (page_size != procmem_page_size(mem) || !view_can_work(map, mem, page_size))
		return error_new(GDUMP_ERR_REMOTE,
				 "the guest's pages are not those of this host, or the kernel does not report which are write-protected");
	for (size_t i = 0; !err && i < map->num_slots; i++)
		err = wp_snapshot_check_slot(&map->slots[i], mem);
	return err;
}

/* We read what the guest has never used, too, and on some hosts that takes memory. */
static struct gdump_error *wp_snapshot_check_memory(const struct memory_map *map,
						    const struct procmem *mem, pid_t pid)
{
	struct host_memory host;
	uint64_t need = 0;

	host_memory_of("", pid, &host);
	if (host.available >= memory_map_size(map) || !host_memory_reading_allocates())
		return NULL;
	for (size_t i = 0; i < map->num_slots; i++) {
		const struct mem_slot *s = &map->slots[i];

		/* shared memory is read without that */
		if (!procmem_borrow(mem, s->hva, 1))
			need += procmem_count_unpopulated(mem, s->hva, s->size, true);
	}
	return host_memory_check(&host, need);
}

struct gdump_error *wp_snapshot_prepare(const struct memory_map *map, const struct procmem *mem,
					pid_t pid)
{
	struct gdump_error *err = wp_snapshot_check_memory(map, mem, pid);

	/* what does not exist cannot be protected then */
	for (size_t i = 0; !err && i < map->num_slots && !wp_snapshot_protects_all(); i++)
		procmem_populate_private(mem, map->slots[i].hva, map->slots[i].size);
	return err;
}

/* The moment ------------------------------------------------------------------ */

/* Have the kernel do all of that that it can. */
static bool wp_snapshot_enable(int uffd)
{
	static const uint64_t wanted[] = {
		UFFD_FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_SHMEM | FEATURE_WP_UNPOPULATED,
		UFFD_FEATURE_PAGEFAULT_FLAG_WP | FEATURE_WP_SHMEM,
		UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct uffdio_api api = { .api = UFFD_API, .features = wanted[i] };

		if (!ioctl(uffd, UFFDIO_API, &api))
			return true;
	}
	return false;
}

/* Memory that nobody may write to need not be protected. */
static struct gdump_error *wp_snapshot_protect(const struct wp_snapshot *w, struct mem_slot *s)
{
	struct uffdio_register reg = { .range = { s->hva, s->size },
				       .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = { .range = { s->hva, s->size },
					  .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	s->kind = GDUMP_RANGE_RAM;
	if (ioctl(w->uffd, UFFDIO_REGISTER, &reg)) {
		if (errno == EPERM) {
			s->kind = GDUMP_RANGE_DEVICE;
			return NULL;
		}
		return error_new(GDUMP_ERR_REMOTE,
				 "the memory at 0x%" PRIx64 " cannot be write-protected: %s", s->paddr,
				 errno == EBUSY ? "the process itself uses userfaultfd(2) there" :
				 errno == EINVAL ? "it is the private mapping of a file, memory of a device or, before Linux 5.19, shared" :
				 strerrordesc_np(errno));
	}
	if (ioctl(w->uffd, UFFDIO_WRITEPROTECT, &wp))
		return error_os(errno, "cannot write-protect the memory at 0x%" PRIx64, s->paddr);
	return NULL;
}

/* Collecting ------------------------------------------------------------------ */

/* Remove the protection of [addr, addr + len); whoever waits there continues. */
static bool wp_snapshot_unprotect(const struct wp_snapshot *w, uint64_t addr, uint64_t len)
{
	struct uffdio_writeprotect wp = { .range = { addr, len } };

	while (ioctl(w->uffd, UFFDIO_WRITEPROTECT, &wp)) {
		/* without memory there, nobody can wait */
		if (errno == ENOENT)
			return true;
		if (errno != EAGAIN && errno != EINTR)
			return false;
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_US * 1000 }, NULL);
	}
	return true;
}

static void wp_snapshot_release(const struct wp_snapshot *w)
{
	for (size_t i = 0; i < w->map.num_slots; i++)
		uffd_unregister(w->uffd, w->map.slots[i].hva, w->map.slots[i].size);
}

/* Keep the page at @addr of the process, in all places where the guest has it. */
static struct gdump_error *wp_snapshot_keep(struct wp_snapshot *w, uint64_t addr)
{
	struct gdump_error *err = procmem_read(w->mem, addr, w->page, w->page_size);

	for (size_t i = 0; !err && i < w->map.num_slots; i++) {
		const struct mem_slot *s = &w->map.slots[i];

		if (addr >= s->hva && addr - s->hva < s->size)
			err = w->to_view.put(w->to_view.arg, (s->paddr + (addr - s->hva)) / w->page_size,
					     is_zero(w->page, w->page_size) ? NULL : w->page);
	}
	return err;
}

/* A page that cannot be kept is lost, but the thread that wants to write to it must not wait. */
static struct gdump_error *wp_snapshot_serve(struct wp_snapshot *w, uint64_t addr)
{
	struct gdump_error *err = wp_snapshot_keep(w, addr);

	if (err && gdump_error_code(err) == GDUMP_ERR_NODATA) {
		gdump_error_destroy(err);
		err = NULL;
	}
	if (!wp_snapshot_unprotect(w, addr, w->page_size) && !err)
		err = error_os(errno, "cannot remove the write protection of a page");
	return err;
}

static void wp_snapshot_note_look(struct wp_snapshot *w)
{
	const uint64_t now = clock_us(), waited = now - w->looked_us;

	w->looked_us = now;
	if (waited > w->stalled_us)
		w->stalled_us = waited;
}

/* Of the view's thread */
static struct gdump_error *wp_snapshot_collect(void *arg, bool *ended)
{
	struct wp_snapshot *w = arg;
	struct pollfd p = { .fd = w->uffd, .events = POLLIN };
	struct uffd_msg faults[MAX_FAULTS];
	struct gdump_error *err = NULL;
	ssize_t n;

	*ended = false;
	wp_snapshot_note_look(w);
	if (poll(&p, 1, POLL_MS) <= 0) {
		w->looked_us = clock_us();
		return NULL;
	}
	w->looked_us = clock_us();
	n = read(w->uffd, faults, sizeof(faults));
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		err = error_os(errno, "cannot read which pages the guest wants to write to");
	for (ssize_t i = 0; !err && i < n / (ssize_t)sizeof(*faults); i++) {
		if (faults[i].event == UFFD_EVENT_PAGEFAULT)
			err = wp_snapshot_serve(w, round_down(faults[i].arg.pagefault.address,
							      (uint64_t)w->page_size));
	}
	if (err)
		wp_snapshot_release(w);
	return err;
}

uint64_t wp_snapshot_waits_us(const struct wp_snapshot *w)
{
	return w->view.is_running ? clock_us() - w->looked_us : 0;
}

uint64_t wp_snapshot_stalled_us(const struct wp_snapshot *w)
{
	return w->stalled_us;
}

/* Reading -------------------------------------------------------------------- */

struct gdump_error *wp_snapshot_read(struct wp_snapshot *w, uint64_t paddr, void *buf, size_t len)
{
	return view_read(&w->view, paddr, buf, len);
}

/* Pass on what was collected. */
static struct gdump_error *wp_snapshot_give(struct wp_snapshot *w, const struct page_sink *to)
{
	struct page_store store = { .page_size = w->page_size };
	const struct kept_page *page;
	struct gdump_error *err = view_take(&w->view, &store);
	size_t i = 0;

	while (!err && (page = page_store_next(&store, &i)))
		err = to->put(to->arg, kept_page_pfn(page), page->data);
	page_store_deinit(&store);
	if (!err && to->canceled(to->arg))
		err = error_new(GDUMP_ERR_CANCELED, "canceled");
	return err;
}

struct gdump_error *wp_snapshot_push(struct wp_snapshot *w, const struct page_sink *to)
{
	struct prefetch p = {
		.mem = w->mem, .slots = w->map.slots, .num_slots = w->map.num_slots,
		.page_size = w->page_size, .to = to, .uffd = { .fds = { w->uffd }, .num = 1 },
	};
	struct gdump_error *err = NULL;
	bool worked = true;

	prefetch_begin_own(&p);
	while (!err && p.phase != PREFETCH_DONE) {
		err = wp_snapshot_give(w, to);
		if (!err)
			err = prefetch_step(&p, &worked);
		if (!err && !worked)
			nanosleep(&(struct timespec){ .tv_nsec = NAP_US * 1000 }, NULL);
	}
	return error_prefix(err, "the snapshot of the running guest");
}

/* Start and end -------------------------------------------------------------- */

static struct gdump_error *wp_snapshot_copy_map(struct wp_snapshot *w, const struct memory_map *map)
{
	w->map.slots = calloc(map->num_slots + 1, sizeof(*map->slots));
	w->page = malloc(w->page_size);
	if (!w->map.slots || !w->page)
		return error_nomem();
	memcpy(w->map.slots, map->slots, map->num_slots * sizeof(*map->slots));
	w->map.num_slots = map->num_slots;
	return NULL;
}

static struct gdump_error *wp_snapshot_start(struct wp_snapshot *w)
{
	struct gdump_error *err = NULL;

	if (!wp_snapshot_enable(w->uffd))
		return error_os(errno, "the kernel does not write-protect memory through userfaultfd(2)");
	for (size_t i = 0; !err && i < w->map.num_slots; i++)
		err = wp_snapshot_protect(w, &w->map.slots[i]);
	if (err)
		return err;
	w->looked_us = clock_us();
	return view_start(&w->view);
}

struct gdump_error *wp_snapshot_begin(const struct memory_map *map, struct procmem *mem,
				      uint32_t page_size, int uffd, struct wp_snapshot **ret)
{
	struct wp_snapshot *w = calloc(1, sizeof(*w));
	struct gdump_error *err;

	if (!w) {
		close(uffd);
		return error_nomem();
	}
	w->mem = mem;
	w->page_size = page_size;
	w->uffd = uffd;
	w->view = (struct snapshot_view){
		.memory = &w->map, .mem = mem, .page_size = page_size, .stored_first = true,
		.collect = wp_snapshot_collect, .arg = w,
	};
	view_init(&w->view);
	w->to_view = view_sink(&w->view);
	err = wp_snapshot_copy_map(w, map);
	if (!err)
		err = wp_snapshot_start(w);
	if (err)
		wp_snapshot_end(w);
	else
		*ret = w;
	return err;
}

void wp_snapshot_end(struct wp_snapshot *w)
{
	if (!w)
		return;
	/* while nobody collects any more, threads of the process wait: not for long */
	view_deinit(&w->view);
	close(w->uffd);
	memory_map_deinit(&w->map);
	free(w->page);
	free(w);
}

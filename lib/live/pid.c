/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pid.c - a guest by the process that runs it, with no help from its VMM
 *
 * The host's kernel says where the memory of a guest of KVM is, and else the guest's own does
 * (pid_memory.c); then it is read as any other process's (procmem.c).  The guest is paused by
 * stopping all threads of the VMM (process_pause.c); its CPUs leave registers behind when they stop
 * (kvm_vcpus.c).  If the process that stopped it ends, the kernel resumes the VMM.
 *
 * What runs outside of the VMM may still write memory meanwhile: the kernel's vhost threads, the
 * processes of vhost-user devices, devices that were passed to the guest.  Nothing looks for these.
 *
 * With --live, the guest is paused only until its memory is write-protected (wp_snapshot.c), for which
 * the VMM is made to call userfaultfd(2) once (remote_uffd.c).
 */
#include "live.h"

#include <fcntl.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/clock.h"
#include "../util/process_status.h"
#include "../util/warn.h"
#include "guest_lock.h"
#include "host_guests.h"
#include "host_kernel.h"
#include "kvm_vcpus.h"
#include "pause_limit.h"
#include "pid_memory.h"
#include "process_pause.h"
#include "remote_uffd.h"
#include "wp_snapshot.h"

/* For how long a VMM runs before it is stopped once more: its CPUs may all have been outside of KVM */
static const unsigned int sync_waits_ms[] = { 5, 20, 80 };

struct pid_guest {
	struct source source;
	struct gdump_open_options opt;
	pid_t pid;
	struct vmm_facts vmm;           /* of its command line                  */
	bool is_vmm;                    /* a process that is known to run guests */
	char program[64];
	struct kvm_vcpus vcpus;
	struct pid_memory memory;
	int lock;                       /* see guest_lock.h; -1: none           */
	struct process_pause *pause;    /* NULL: it was not paused              */
	bool is_paused;
	struct wp_snapshot *snapshot;   /* NULL: memory is read as it is        */
	struct pause_limit limit;
	uint64_t stalled_us;            /* of a snapshot that has ended         */
	uint64_t pause_us, paused_us;
};

static struct gdump_error *pid_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	const struct pid_guest *g = (const struct pid_guest *)s;

	return memory_map_read(&g->memory.map, g->memory.mem, paddr, buf, len);
}

static struct gdump_error *pid_scan(struct source *s, uint64_t pfn, size_t num,
				    unsigned char *state, bool holes)
{
	const struct pid_guest *g = (const struct pid_guest *)s;
	const struct page_scan scan = { .pfn = pfn, .num = num,
					.page_size = s->image.page_size, .state = state };

	memset(state, PAGE_THERE, num);
	if (holes)
		memory_map_scan(&g->memory.map, g->memory.mem, &scan);
	return NULL;
}

static const void *pid_borrow(struct source *s, uint64_t paddr, size_t len)
{
	const struct pid_guest *g = (const struct pid_guest *)s;

	return memory_map_borrow(&g->memory.map, g->memory.mem, paddr, len, s->image.page_size);
}

static void pid_end_snapshot(struct pid_guest *g)
{
	if (!g->snapshot)
		return;
	g->stalled_us = wp_snapshot_stalled_us(g->snapshot);
	wp_snapshot_end(TAKE_PTR(g->snapshot));
	process_pause_uffd_done(g->pause);
	g->source.is_mutable = true;
}

static struct gdump_error *pid_resume(struct source *s)
{
	struct pid_guest *g = (struct pid_guest *)s;

	pid_end_snapshot(g);
	if (!g->is_paused)
		return NULL;
	process_pause_resume(g->pause);
	g->is_paused = false;
	g->paused_us += clock_us() - g->pause_us;
	s->is_mutable = true;
	debug_log(&s->debug, GDUMP_DEBUG_STEP, "the guest is resumed after %.1f ms",
		  (double)g->paused_us / 1000);
	return NULL;
}

static uint64_t pid_paused_us(const struct source *s)
{
	const struct pid_guest *g = (const struct pid_guest *)s;

	return g->paused_us + (g->is_paused ? clock_us() - g->pause_us : 0);
}

static struct gdump_error *pid_overdue(struct source *s, uint64_t progress)
{
	struct pid_guest *g = (struct pid_guest *)s;

	if (pause_limit_note(&g->limit, progress) && g->pause)
		process_pause_alive(g->pause);
	if (g->is_paused)
		return pause_limit_check(&g->limit, clock_us() - g->pause_us);
	return g->snapshot ? pause_limit_check_wait(&g->limit, wp_snapshot_waits_us(g->snapshot)) : NULL;
}

static struct gdump_error *pid_torn(struct source *s)
{
	const struct pid_guest *g = (const struct pid_guest *)s;

	return g->is_paused || g->snapshot ? process_pause_torn(g->pause) : NULL;
}

static void pid_close(struct source *s)
{
	struct pid_guest *g = (struct pid_guest *)s;

	gdump_error_destroy(pid_resume(s));
	process_pause_end(g->pause);
	kvm_vcpus_deinit(&g->vcpus);
	pid_memory_deinit(&g->memory);
	if (g->lock >= 0)
		close(g->lock);
	free(g);
}

static const struct guest_ops pid_guest_ops = {
	.resume = pid_resume,
	.paused_us = pid_paused_us,
	.overdue = pid_overdue,
	.torn = pid_torn,
};

static const struct source_ops pid_ops = {
	.name = "pid",
	.read = pid_read,
	.scan = pid_scan,
	.borrow = pid_borrow,
	.guest = &pid_guest_ops,
	.close = pid_close,
};

static uint64_t pid_stalled_us(const struct source *s)
{
	const struct pid_guest *g = (const struct pid_guest *)s;

	return g->snapshot ? wp_snapshot_stalled_us(g->snapshot) : g->stalled_us;
}

static struct gdump_error *pid_live_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct pid_guest *g = (struct pid_guest *)s;

	if (!g->snapshot)
		return pid_read(s, paddr, buf, len);
	process_pause_alive(g->pause);
	return wp_snapshot_read(g->snapshot, paddr, buf, len);
}

static struct gdump_error *pid_live_push(struct source *s, const struct page_sink *to)
{
	struct pid_guest *g = (struct pid_guest *)s;
	struct gdump_error *err;

	if (!g->snapshot)
		return error_new(GDUMP_ERR_USAGE,
				 "the snapshot of the running guest has ended; open it again");
	err = wp_snapshot_push(g->snapshot, to);
	if (!err)
		err = pid_torn(s);
	pid_end_snapshot(g);
	return err;
}

static const struct guest_ops pid_live_guest_ops = {
	.resume = pid_resume,
	.paused_us = pid_paused_us,
	.stalled_us = pid_stalled_us,
	.overdue = pid_overdue,
	.torn = pid_torn,
};

/* What the process has populated by now says nothing of the moment: there is no scan(). */
static const struct source_ops pid_live_ops = {
	.name = "pid",
	.order = READ_PUSHED,
	.read = pid_live_read,
	.push = pid_live_push,
	.guest = &pid_live_guest_ops,
	.close = pid_close,
};

struct gdump_error *pid_parse(const char *name, pid_t *ret)
{
	char *end;
	const long pid = strtol(name, &end, 10);

	if (end == name || *end || pid <= 0 || pid > INT32_MAX)
		return error_new(GDUMP_ERR_USAGE, "'%.40s' is not the number of a process", name);
	*ret = (pid_t)pid;
	return NULL;
}

static struct gdump_error *pid_pause(struct pid_guest *g)
{
	const uint64_t began_us = clock_us();
	struct gdump_error *err;

	process_pause_end(TAKE_PTR(g->pause));
	err = process_pause_begin(g->pid, g->opt.guard_fd, &g->limit, &g->pause);
	if (err)
		return error_prefix(err, "cannot pause the guest");
	g->is_paused = true;
	g->pause_us = began_us;
	debug_log(&g->source.debug, GDUMP_DEBUG_STEP, "the threads of process %d stopped within %.1f ms",
		  (int)g->pid, (double)(clock_us() - began_us) / 1000);
	return NULL;
}

/* Pause the guest so that its CPUs leave their registers behind.  A CPU that is in the VMM just now
 * may not; then try again.
 */
static struct gdump_error *pid_pause_with_registers(struct pid_guest *g)
{
	struct gdump_error *err;

	for (size_t i = 0;; i++) {
		kvm_vcpus_begin_sync(&g->vcpus);
		err = pid_pause(g);
		if (err || kvm_vcpus_stored(&g->vcpus) == g->vcpus.num ||
		    i == ARRAY_SIZE(sync_waits_ms))
			return err;
		err = pid_resume(&g->source);
		if (err)
			return err;
		nanosleep(&(struct timespec){ .tv_nsec = sync_waits_ms[i] * 1000000L }, NULL);
	}
}

static uint32_t pid_page_size(const struct pid_guest *g)
{
	const struct image *image = &g->source.image;

	return image->page_size ? image->page_size : arch_by_machine(image->machine)->page_size;
}

/* Whether the guest can keep running while it is dumped; if it need not, warn and pause it. */
static struct gdump_error *pid_check_live(struct pid_guest *g, struct gdump_error *err)
{
	if (!err)
		return NULL;
	err = error_prefix(err, "cannot take a snapshot of the running guest");
	if (g->opt.live == GDUMP_LIVE_YES)
		return err;
	warn_caller(&g->opt, "the guest is paused until its memory is read: %s", gdump_error_message(err));
	gdump_error_destroy(err);
	g->opt.live = GDUMP_LIVE_NO;
	return NULL;
}

static struct gdump_error *pid_prepare_live(struct pid_guest *g)
{
	struct gdump_error *err;

	if (!g->opt.pause_guest || g->opt.live == GDUMP_LIVE_NO)
		return NULL;
	err = remote_uffd_check(g->pid);
	if (!err)
		err = wp_snapshot_check(&g->memory.map, g->memory.mem, pid_page_size(g));
	if (!err && !g->opt.look_only)
		err = wp_snapshot_prepare(&g->memory.map, g->memory.mem, g->pid);
	return pid_check_live(g, err);
}

/* The guest is paused: from now on, its memory is that of this moment. */
static struct gdump_error *pid_begin_snapshot(struct pid_guest *g)
{
	struct source *s = &g->source;
	struct gdump_error *err;
	int uffd;

	err = process_pause_uffd(g->pause, &g->memory.map, &uffd);
	if (!err)
		err = wp_snapshot_begin(&g->memory.map, g->memory.mem, pid_page_size(g), uffd, &g->snapshot);
	err = pid_check_live(g, err);
	if (!g->snapshot) {
		process_pause_uffd_done(g->pause);
		return err;
	}
	s->ops = &pid_live_ops;
	s->moment_ms = clock_wall_ms();
	process_pause_resume(g->pause);
	g->is_paused = false;
	g->paused_us += clock_us() - g->pause_us;
	debug_log(&s->debug, GDUMP_DEBUG_STEP,
		  "the memory is write-protected, and the guest is resumed after %.1f ms",
		  (double)g->paused_us / 1000);
	return NULL;
}

static struct gdump_error *pid_take_cpus(struct pid_guest *g)
{
	struct gdump_error *err;

	g->source.image.num_lost_cpus = g->vcpus.num;
	if (g->opt.look_only || (!g->opt.pause_guest && !g->vcpus.num))
		return NULL;
	g->source.image.num_lost_cpus = 0;
	err = pid_pause_with_registers(g);
	if (!err)
		err = pid_memory_check(&g->memory);
	if (!err)
		err = kvm_vcpus_add_notes(&g->vcpus, &g->source.image);
	kvm_vcpus_end_sync(&g->vcpus);
	if (!err && !g->opt.pause_guest)
		err = pid_resume(&g->source);
	if (!err && g->opt.pause_guest && g->opt.live != GDUMP_LIVE_NO)
		err = pid_begin_snapshot(g);
	return err;
}

static void pid_warn_of_registers(const struct pid_guest *g, const struct gdump_error *why)
{
	const size_t lost = g->source.image.num_lost_cpus;

	if (!g->vcpus.num)
		warn_caller(&g->opt, "the registers of the CPUs are missing: KVM does not run this guest, and only %s itself knows them",
			    g->program);
	else if (why)
		warn_caller(&g->opt, "the registers of the CPUs are missing: %s",
			    gdump_error_message(why));
	else if (lost)
		warn_caller(&g->opt, "the registers of %zu of %zu CPUs are missing: they were outside of KVM, as the VMM has paused the guest or emulates a device",
			    lost, g->vcpus.num);
}

/* What the command line says of the process: which guest it runs, if any */
static struct gdump_error *pid_identify(struct pid_guest *g)
{
	CLEANUP_FD int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct image *image = &g->source.image;
	struct host_process process = { .dir = -1 };
	struct gdump_error *err;
	char pid[16];

	if (proc < 0)
		return error_os(errno, "cannot open /proc");
	snprintf(pid, sizeof(pid), "%d", (int)g->pid);
	err = host_process_read(proc, pid, &process);
	if (!err && process.num_words) {
		g->is_vmm = vmm_recognize(&process, &g->vmm);
		memcpy(g->program, process.program, sizeof(g->program));
		snprintf(image->vmm, sizeof(image->vmm), "%s", process.program);
		memcpy(image->guest, g->vmm.name, sizeof(image->guest));
		memcpy(image->uuid, g->vmm.uuid, sizeof(image->uuid));
	}
	host_process_deinit(&process);
	return err;
}

/* A guest of KVM has the host's kind of CPUs, one that is emulated those of the program's name. */
static struct gdump_error *pid_take_machine(struct pid_guest *g)
{
	static const char qemu[] = "qemu-system-";
	struct image *image = &g->source.image;
	const struct arch *arch;
	struct utsname host;
	const char *name;

	uname(&host);
	name = !g->vcpus.num_vms && !strncmp(g->program, qemu, sizeof(qemu) - 1) ?
	       g->program + sizeof(qemu) - 1 : host.machine;
	arch = arch_by_name(name, &image->big);
	if (!arch)
		return error_new(GDUMP_ERR_UNSUPPORTED, "architecture '%s' is unknown", name);
	image->machine = arch->machine;
	image->is64 = arch->is64;
	return NULL;
}

static struct gdump_error *pid_find_guest(struct pid_guest *g, struct gdump_error **why)
{
	struct gdump_error *err;

	if (kill(g->pid, 0) && errno == ESRCH)
		return error_new(GDUMP_ERR_OS, "there is no process %d", (int)g->pid);
	if (process_has_ended(g->pid))
		return error_new(GDUMP_ERR_REMOTE, "process %d has ended", (int)g->pid);
	err = pid_identify(g);
	if (!err)
		err = kvm_vcpus_open(g->pid, &g->vcpus, why);
	if (!err && !g->vcpus.num_vms && !g->is_vmm && !g->opt.num_extents)
		err = error_new(GDUMP_ERR_NODATA,
				"process %d (%s) has no virtual machine of KVM, and is not known to run a guest",
				(int)g->pid, g->program);
	if (!err)
		err = pid_take_machine(g);
	if (err)
		return err;
	g->memory.pid = g->pid;
	g->memory.machine = g->source.image.machine;
	return pid_memory_find(&g->memory, g->vcpus.num_vms, &g->opt);
}

static size_t pid_count_threads(pid_t pid)
{
	const int threads = process_status(pid, "Threads:");

	return threads > 0 ? (size_t)threads : 0;
}

/* What pid_take_cpus() does to the process, and what reading it does */
static void pid_describe_effects(struct pid_guest *g)
{
	struct source *s = &g->source;
	char cpus[160] = "", until[160] = "until all memory is read";

	if (g->vcpus.num && kvm_sync)
		snprintf(cpus, sizeof(cpus),
			 "ask KVM for the registers of %zu virtual CPUs (field kvm_valid_regs of the state that the process shares with KVM), and withdraw that\n",
			 g->vcpus.num);
	if (g->opt.pause_guest && g->opt.live != GDUMP_LIVE_NO)
		snprintf(until, sizeof(until),
			 "for a moment\nmeanwhile, have one of them call userfaultfd(2) and close(2), to write-protect the memory until it is read");
	snprintf(s->effects, sizeof(s->effects),
		 "%sstop its %zu threads with ptrace(2), without a signal, %s\n"
		 "read %" PRIu64 " bytes of its memory in %zu ranges\n", cpus, pid_count_threads(g->pid), until,
		 memory_map_size(&g->memory.map), g->memory.map.num_slots);
}

static void pid_fill_image(struct pid_guest *g)
{
	struct image *image = &g->source.image;

	image->num_cpus = g->vcpus.num ? g->vcpus.num : g->vmm.cpus;
	if (!g->vcpus.num)
		image->num_lost_cpus = MAX(image->num_cpus, (size_t)1);
	snprintf(image->detail, sizeof(image->detail), "%s, process %d%s%s", g->program, (int)g->pid,
		 g->vcpus.num_vms ? ", through KVM" : "", pid_memory_remark(&g->memory));
	if (g->memory.origin != PID_MEMORY_KVM)
		snprintf(image->vmm, sizeof(image->vmm), "%.40s%s", g->program,
			 pid_memory_remark(&g->memory));
}

static struct gdump_error *pid_check_options(const struct pid_guest *g)
{
	if (g->opt.no_direct)
		return error_new(GDUMP_ERR_USAGE,
				 "the memory is read from process %d, which --no-direct excludes",
				 (int)g->pid);
	return NULL;
}

static struct gdump_error *pid_begin(struct pid_guest *g, struct gdump_error **why)
{
	struct source *s = &g->source;
	struct gdump_error *err = pid_check_options(g);

	if (!err && g->opt.pause_guest)
		err = guest_lock_take(g->pid, &g->lock);
	if (!err)
		err = pid_find_guest(g, why);
	if (!err)
		err = memory_map_to_image(&g->memory.map, &s->image);
	if (!err)
		err = pid_prepare_live(g);
	if (err)
		return err;
	if (g->opt.pause_guest && !g->opt.look_only && g->opt.before_pause &&
	    g->opt.before_pause(g->opt.before_pause_arg, memory_map_size(&g->memory.map)))
		return error_new(GDUMP_ERR_CANCELED, "canceled before the guest was paused");
	s->was_running = true;
	err = pid_take_cpus(g);
	s->is_mutable = !g->is_paused && !g->snapshot;
	pid_fill_image(g);
	if (g->opt.look_only)
		pid_describe_effects(g);
	return err ? err : image_seal(&s->image);
}

struct gdump_error *pid_open(const char *name, const struct gdump_open_options *opt,
			     struct source **ret)
{
	CLEANUP_ERROR struct gdump_error *why = NULL;
	CLEANUP_SOURCE struct source *s = NULL;
	struct pid_guest *g = calloc(1, sizeof(*g));
	struct gdump_error *err;

	if (!g)
		return error_nomem();
	s = &g->source;
	source_init(s, &pid_ops);
	s->debug = debug_of(opt);
	g->opt = *opt;
	g->lock = -1;
	g->limit = pause_limit_of(opt);
	err = pid_parse(name, &g->pid);
	if (!err)
		err = pid_begin(g, &why);
	if (err)
		return err;
	if (!opt->look_only)
		pid_warn_of_registers(g, why);
	*ret = TAKE_PTR(s);
	return NULL;
}

/* Whether layout_find() knows the machine of the guest: x86-64 */
static bool pid_may_find_layout(const struct host_process *p)
{
	static const char qemu[] = "qemu-system-", x86[] = "x86_64";
	struct utsname host;

	uname(&host);
	return p->kvm || strncmp(p->program, qemu, sizeof(qemu) - 1) ? !strcmp(host.machine, x86) :
	       !strcmp(p->program + sizeof(qemu) - 1, x86);
}

/* Remove the "; " at its end. */
static void pid_end_list(char *text)
{
	const size_t len = strlen(text);

	if (len >= 2 && !strcmp(text + len - 2, "; "))
		text[len - 2] = '\0';
}

struct gdump_error *pid_reach(struct host_guest *g)
{
	CLEANUP_ERROR struct gdump_error *err = NULL, *no_live = remote_uffd_check(g->process->pid);
	const bool kvm = g->process->kvm;
	char name[24], missing[600];
	struct gdump_guest_way way = { .name = name, .missing = missing };

	if (!g->process->fds_known)
		return NULL;
	snprintf(name, sizeof(name), "pid:%d", (int)g->process->pid);
	err = kvm ? host_kernel_may_read() : NULL;
	way.works = way.pauses = way.direct = (kvm && !err) || pid_may_find_layout(g->process);
	way.registers = way.works && kvm && kvm_sync;
	way.live = way.works && !no_live;
	snprintf(missing, sizeof(missing), "%s%s%s%s%s%s",
		 err ? gdump_error_message(err) : "", err ? "; " : "",
		 kvm && !err ? "" : way.works ?
		 "where the memory is, has to be found in the guest's kernel (Linux on x86-64); " :
		 "option --range has to give the memory; ",
		 way.registers ? "" : "the registers are not possible by process; ",
		 no_live ? "--live is not possible: " : "", no_live ? gdump_error_message(no_live) : "");
	pid_end_list(missing);
	if (!missing[0])
		way.missing = NULL;
	return host_guest_add(g, &way);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * state.c - uptime and panic of the guest's kernel
 *
 * The uptime is in the timekeeper, which is updated with each tick.  It has the time in
 * several forms, and is used only if they agree; otherwise the time of the last record of
 * the log is a lower bound.  panic_cpu shows whether there was a panic, and the log shows why.
 *
 * Facts: Linux's include/linux/timekeeper_internal.h, kernel/time/timekeeping.c and
 * kernel/panic.c.
 */
#include "state.h"

#include <string.h>

#include "../util/bits.h"
#include "printk.h"
#include "../machine/vmcoreinfo.h"

static const uint64_t second = 1000000000;

/* The address of the timekeeper; 0: unknown. */
static uint64_t state_find_timekeeper(const struct kernel *k)
{
	const uint64_t core = kernel_symbol(k, "tk_core");      /* up to 6.19 */
	const uint64_t data = kernel_symbol(k, "timekeeper_data");
	struct btf_field field;

	/* since 6.13 it is in a struct with a name, since 7.0 in an array of these */
	if (btf_field(&k->btf, "tk_data", "timekeeper", &field))
		return data ? data + field.off : core ? core + field.off : 0;
	return core ? core + 8 : 0;     /* after a sequence counter */
}

/* Wall clock, and the offsets to the time since boot */
struct timekeeper {
	uint64_t ktime_sec, xtime_sec, offs_real, offs_boot;
	uint64_t to_monotonic;
};

static bool state_read_timekeeper(struct kernel *k, struct timekeeper *ret)
{
	const uint64_t tk = state_find_timekeeper(k);
	struct btf_field to_monotonic, sec;

	return tk && kernel_member(k, tk, "timekeeper", "ktime_sec", &ret->ktime_sec) &&
	       kernel_member(k, tk, "timekeeper", "xtime_sec", &ret->xtime_sec) &&
	       kernel_member(k, tk, "timekeeper", "offs_real", &ret->offs_real) &&
	       kernel_member(k, tk, "timekeeper", "offs_boot", &ret->offs_boot) &&
	       btf_field(&k->btf, "timekeeper", "wall_to_monotonic", &to_monotonic) &&
	       btf_field(&k->btf, "timespec64", "tv_sec", &sec) &&
	       kernel_uint(k, tk + to_monotonic.off + sec.off, sec.size, &ret->to_monotonic);
}

static void state_find_times(struct kernel *k, struct gdump_kernel *ret)
{
	struct timekeeper t;

	if (!state_read_timekeeper(k, &t))
		return;
	/* the nanoseconds may add up to another second */
	if (t.ktime_sec - t.xtime_sec - t.to_monotonic > 1 || t.ktime_sec > UINT32_MAX ||
	    t.offs_boot / second > UINT32_MAX || t.offs_real < t.offs_boot ||
	    t.offs_real / second + t.ktime_sec - t.xtime_sec + 1 > 2)
		return;
	ret->uptime = t.ktime_sec + t.offs_boot / second;
	ret->has_uptime = true;
	ret->boot_time = (t.offs_real - t.offs_boot) / second;
}

/* What the log says: the last panic, and the time of the last record */
struct panic_info {
	struct gdump_kernel *kernel;
	uint64_t last_ns;
};

static void panic_info_take_record(void *arg, const struct gdump_log_record *r)
{
	static const char start[] = "Kernel panic - not syncing: ";
	const size_t skip = sizeof(start) - 1;
	struct panic_info *info = arg;
	size_t len;

	info->last_ns = MAX(info->last_ns, r->time_ns);
	/* processes write with other facilities, so they cannot fake a panic */
	if (r->facility || r->len < skip || memcmp(r->text, start, skip))
		return;
	len = MIN(r->len - skip, sizeof(info->kernel->panic) - 1);
	info->kernel->panicked = true;
	memcpy(info->kernel->panic, r->text + skip, len);
	info->kernel->panic[len] = 0;
}

static void state_find_panic(struct kernel *k, struct gdump_kernel *ret)
{
	uint64_t time;
	size_t len;

	ret->panic_cpu = -1;
	ret->panicked = kernel_panic_cpu(k, &ret->panic_cpu);
	/* Linux adds it when it starts a crash kernel */
	ret->panicked |= vmcoreinfo_get(&k->source->image, "CRASHTIME", &len) != NULL;
	if (vmcoreinfo_decimal(&k->source->image, "CRASHTIME", &time))
		ret->crash_time = time;
}

void state_of(struct kernel *k, struct gdump_kernel *ret)
{
	struct panic_info info = { .kernel = ret };

	state_find_times(k, ret);
	state_find_panic(k, ret);
	/* without a log, the rest is still useful */
	gdump_error_destroy(printk_read(k->source, panic_info_take_record, &info));
	if (!ret->has_uptime && info.last_ns) {
		ret->uptime = info.last_ns / second;
		ret->has_uptime = ret->uptime_is_lower_bound = true;
	}
}

struct gdump_error *state_read(struct source *s, struct gdump_kernel *ret)
{
	struct kernel k;
	struct gdump_error *err = kernel_open(s, &k);

	if (err)
		return err;
	state_of(&k, ret);
	kernel_close(&k);
	return NULL;
}

bool state_monotonic_ns(struct kernel *k, uint64_t *ret)
{
	const uint64_t tk = state_find_timekeeper(k);
	uint64_t base, part, shift;

	/* the base is of whole seconds of the wall clock */
	if (!tk || !kernel_member(k, tk, "timekeeper", "tkr_mono.base", &base) ||
	    !kernel_member(k, tk, "timekeeper", "tkr_mono.xtime_nsec", &part) ||
	    !kernel_member(k, tk, "timekeeper", "tkr_mono.shift", &shift) || shift > 63)
		return false;
	*ret = base + (part >> shift);
	return true;
}

/* The count begins five minutes before it exceeds 32 bits.  How many there are in a second is a
 * constant of the kernel: the one of the usual numbers that gives the same uptime as the clock.
 */
bool state_jiffies(struct kernel *k, uint64_t *jiffies, uint64_t *hz)
{
	static const uint64_t usual[] = { 100, 250, 300, 1000 };
	const uint64_t vaddr = kernel_symbol(k, "jiffies_64");
	uint64_t now, seconds;

	if (!vaddr || !state_monotonic_ns(k, &now) || !kernel_uint(k, vaddr, 8, jiffies))
		return false;
	now /= second;
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		*hz = usual[i];
		seconds = (*jiffies - ((uint64_t)UINT32_MAX + 1 - 300 * *hz)) / *hz;
		if (seconds + 3 + now / 100 >= now && seconds <= now + 3 + now / 100)
			return true;
	}
	return false;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_kernel.c - which kernel it is, since when it runs, and whether it still does
 */
#include <stdio.h>
#include <string.h>

#include "../arch/arch.h"
#include "../kernel/identify.h"
#include "../kernel/state.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"
#include "crash_kernel.h"
#include "pressure.h"

enum { MAX_COMMAND_LINE = 4096, LOADS = 3, LOAD_SHIFT = 11, MAX_BUILD_ID = 65 };

/* Letters of the kernel's taint flags, from bit 0 on; a kernel without bit 0 is "G". */
static const char taint_letters[] = "PFSRMBUDAWCIOELKXTNJ";

void report_add_taint(struct gdump_fact *to, uint64_t mask)
{
	char letters[sizeof(taint_letters)] = "";
	size_t n = 0;

	for (size_t i = 0; taint_letters[i]; i++) {
		if (mask >> i & 1)
			letters[n++] = taint_letters[i];
	}
	fact_text(to, "taint", "%s", letters);
}

static void kernel_add_taint(struct report *r, struct gdump_fact *to)
{
	const uint64_t vaddr = kernel_symbol(&r->kernel, "tainted_mask");
	uint64_t mask;

	if (vaddr && kernel_word(&r->kernel, vaddr, &mask))
		report_add_taint(to, mask);
}

static struct gdump_fact *kernel_add_string(struct report *r, struct gdump_fact *to,
					    const char *name, uint64_t vaddr)
{
	char buf[MAX_COMMAND_LINE];

	return kernel_string(&r->kernel, vaddr, buf, sizeof(buf)) && *buf
		       ? fact_guest_text(to, name, buf, sizeof(buf)) : NULL;
}

static void kernel_add_command_line(struct report *r, struct gdump_fact *to)
{
	const uint64_t pointer = kernel_symbol(&r->kernel, "saved_command_line");
	const struct gdump_fact *line;
	uint64_t vaddr;

	if (!pointer || !kernel_word(&r->kernel, pointer, &vaddr))
		return;
	line = kernel_add_string(r, to, "command_line", vaddr);
	if (line && strstr(line->text, "elfcorehdr="))
		verdict_evidence(report_verdict(r, VERDICT_CRASH_KERNEL,
						"this is a crash kernel: another one has panicked"),
				 "its command line has elfcorehdr=");
}

/* What the firmware calls the machine */
static void kernel_add_hardware(struct report *r, struct gdump_fact *to)
{
	static const struct {
		const char *field, *name;
	} fields[] = {
		{ "DMI_SYS_VENDOR", "vendor" }, { "DMI_PRODUCT_NAME", "product" },
		{ "DMI_BIOS_VENDOR", "bios_vendor" }, { "DMI_BIOS_VERSION", "bios_version" },
	};
	const unsigned int word = r->source->image.is64 ? 8 : 4;
	const uint64_t table = kernel_symbol(&r->kernel, "dmi_ident");
	struct gdump_fact *group = NULL;
	uint64_t vaddr;
	uint32_t i;

	for (size_t n = 0; table && n < ARRAY_SIZE(fields); n++) {
		if (!btf_enumerator(&r->kernel.btf, "dmi_field", fields[n].field, &i) ||
		    !kernel_word(&r->kernel, table + (uint64_t)word * i, &vaddr) || !vaddr)
			continue;
		group = group ? group : fact_group(to, "hardware");
		kernel_add_string(r, group, fields[n].name, vaddr);
	}
}

static void kernel_add_load(struct report *r, struct gdump_fact *to)
{
	const unsigned int word = r->source->image.is64 ? 8 : 4;
	const uint64_t vaddr = kernel_symbol(&r->kernel, "avenrun");
	struct gdump_fact *list = vaddr ? fact_list(to, "load") : NULL;
	uint64_t load;

	for (unsigned int i = 0; list && i < LOADS; i++) {
		if (kernel_word(&r->kernel, vaddr + (uint64_t)word * i, &load))
			fact_number(list, "load", (load * 1000) >> LOAD_SHIFT, GDUMP_UNIT_MILLI);
	}
}

static void kernel_add_times(const struct gdump_kernel *k, struct gdump_fact *to)
{
	if (!k->has_uptime)
		return;
	fact_number(to, "uptime", k->uptime * 1000000000, GDUMP_UNIT_NS);
	if (k->uptime_is_lower_bound)
		fact_flag(to, "uptime_is_lower_bound", true);
	if (k->boot_time)
		fact_number(to, "boot_time", k->boot_time, GDUMP_UNIT_TIME);
}

static void kernel_judge_panic(struct report *r, const struct gdump_kernel *k)
{
	struct gdump_fact *v;
	char cpu[32] = "";

	if (!k->panicked)
		return;
	if (k->panic_cpu >= 0)
		snprintf(cpu, sizeof(cpu), " on CPU %d", (int)k->panic_cpu);
	r->panic_cpu = k->panic_cpu;
	r->panic = v = report_verdict(r, VERDICT_PANIC, "panicked%s: %s", cpu,
			   k->panic[0] ? k->panic : "its log does not have the reason");
	if (k->panic_cpu >= 0)
		verdict_evidence(v, "the kernel's variable panic_cpu is %d", (int)k->panic_cpu);
	if (k->panic[0])
		verdict_evidence(v, "Kernel panic - not syncing: %s", k->panic);
}

/* The hypervisor has paused the guest, by itself. */
static void kernel_judge_run_state(struct report *r)
{
	static const struct {
		const char *state, *text;
	} states[] = {
		{ "io-error", "its disk has failed on the host" },
		{ "internal-error", "its hypervisor has failed" },
		{ "watchdog", "its watchdog has expired" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (!r->source->was_running && !strcmp(r->source->run_state, states[i].state))
			verdict_evidence(report_verdict(r, VERDICT_NOT_RUNNING,
							"the guest is paused: %s", states[i].text),
					 "the hypervisor reports the state %s", states[i].state);
	}
}

/* There is no VMCOREINFO. */
static struct gdump_error *kernel_collect_other(struct report *r, struct gdump_fact *to)
{
	struct gdump_system found = { .size = sizeof(found) };
	struct gdump_error *err = identify_system(r->source, &found);

	if (err)
		return error_prefix(err, "there is no VMCOREINFO");
	if (found.name[0])
		fact_text(to, "system", "%s", found.name);
	if (found.release[0]) {
		fact_text(to, "release", "%s", found.release);
		fact_text(to, "version", "%s", found.version);
		r->booting = report_verdict(r, VERDICT_BOOTING,
					    "Linux %s is booting, or has no support for crash dumps",
					    found.release);
		verdict_evidence(r->booting, "there is no VMCOREINFO, but a banner of Linux at 0x%llx",
				 (unsigned long long)found.paddr);
	} else {
		verdict_evidence(report_verdict(r, VERDICT_NO_KERNEL, "there is no Linux kernel, but %s",
						found.name[0] ? found.name : "nothing that is known"),
				 "all memory was searched for a banner of Linux");
	}
	return NULL;
}

static struct gdump_error *kernel_collect(struct report *r, struct gdump_fact *to)
{
	const struct image *image = &r->source->image;
	struct gdump_kernel state = { .size = sizeof(state) };
	char build_id[MAX_BUILD_ID];

	kernel_judge_run_state(r);
	fact_text(to, "arch", "%s", arch_uname(image));
	fact_number(to, "cpus", image->num_cpus, GDUMP_UNIT_NONE);
	if (!image->vmcoreinfo)
		return kernel_collect_other(r, to);
	fact_guest_text(to, "release", image->release, sizeof(image->release));
	fact_guest_text(to, "version", image->version, sizeof(image->version));
	if (vmcoreinfo_string(image, "BUILD-ID", build_id, sizeof(build_id)))
		fact_text(to, "build_id", "%s", build_id);
	if (!r->has_kernel)
		return NULL;
	state_of(&r->kernel, &state);
	kernel_add_times(&state, to);
	kernel_add_load(r, to);
	kernel_add_taint(r, to);
	kernel_add_command_line(r, to);
	kernel_add_hardware(r, to);
	kernel_judge_panic(r, &state);
	crash_kernel_judge(r, state.crash_time);
	pressure_add(r, to);
	return NULL;
}

const struct section section_kernel = {
	.name = "kernel",
	.of_moment = true,
	.collect = kernel_collect,
};

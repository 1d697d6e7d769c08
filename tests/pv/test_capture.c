/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_capture.c - dumps of protected guests, taken from a software Ultravisor
 *
 * What is decrypted of them is exactly what went in; and whatever fails, the guest can
 * run afterwards and no file looks like a dump.
 */
#include "../unit/check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "dump.h"
#include "live/live.h"
#include "live/kvm_abi.h"
#include "uv.h"

_Static_assert(sizeof(struct pv_cmd) == sizeof(struct kvm_pv_cmd), "");
_Static_assert(sizeof(struct pv_dmp) == sizeof(struct kvm_s390_pv_dmp), "");
_Static_assert(PV_VM_COMMAND == KVM_S390_PV_COMMAND && PV_VM_COMMAND == 0xc020aec5, "");
_Static_assert(PV_CPU_COMMAND == KVM_S390_PV_CPU_COMMAND && PV_CPU_COMMAND == 0xc020aed0, "");
_Static_assert(PV_CHECK_EXTENSION == KVM_CHECK_EXTENSION && PV_CHECK_EXTENSION == 0xae03, "");
_Static_assert((int)PV_CMD_DUMP == KVM_PV_DUMP && (int)PV_CMD_INFO == KVM_PV_INFO, "");
_Static_assert((int)PV_DUMP_CPU == KVM_PV_DUMP_CPU &&
	       (int)PV_DUMP_COMPLETE == KVM_PV_DUMP_COMPLETE, "");

enum { MIB = 1 << 20, PAGE = 4096, MAX_CPUS = 8, MAX_SLOTS = 3 };

static char dir[40] = "/tmp/gd-test-capture.XXXXXX";
static char path[64], left[80], key[64], wrong_key[64];
static const unsigned char cck[32] = "0123456789abcdef0123456789abcde";

struct layout {
	uint64_t paddr, mib;
};

static struct vm {
	int fd, cpus[MAX_CPUS];
	size_t num_cpus, num_slots;
	struct gdump_slot slots[MAX_SLOTS];
	unsigned char *plain[MAX_SLOTS];
	int pauses, resumes;
	char warning[300];
} vm;

static int vm_pause(void *arg)
{
	((struct vm *)arg)->pauses++;
	return 0;
}

static int vm_resume(void *arg)
{
	((struct vm *)arg)->resumes++;
	return 0;
}

/* What the host sees of such a CPU: nothing of use */
static int vm_notes(void *arg, size_t cpu, struct gdump_notes *to)
{
	static const unsigned char zeros[336];

	(void)arg, (void)cpu;
	gdump_note_add(to, "CORE", NT_PRSTATUS, zeros, 336);
	gdump_note_add(to, "LINUX", NT_S390_PREFIX, zeros, 4);
	return 0;
}

static void vm_warn(void *arg, const char *message)
{
	struct vm *v = arg;

	snprintf(v->warning, sizeof(v->warning), "%s", message);
}

static void fill(unsigned char *p, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size / PAGE; i++) {
		/* runs of pages that are never touched, a page with one byte, full ones */
		if (i % 64 < 20)
			continue;
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		for (size_t k = 0; k < PAGE; k += i % 5 ? 8 : PAGE)
			memcpy(p + i * PAGE + k, &(uint64_t){ seed + k * i }, 8);
	}
}

static unsigned char *map(size_t size)
{
	unsigned char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void vm_start(const struct layout *l, size_t num_slots, size_t num_cpus)
{
	struct kvm_pv_cmd enable = { .cmd = KVM_PV_ENABLE };

	vm = (struct vm){ .num_slots = num_slots, .num_cpus = num_cpus };
	vm.fd = uv_ioctl(-1, KVM_CREATE_VM, NULL);
	for (size_t i = 0; i < num_slots; i++) {
		const size_t size = (size_t)l[i].mib * MIB;
		unsigned char *host = map(size);
		struct kvm_userspace_memory_region r = {
			.slot = (uint32_t)i, .guest_phys_addr = l[i].paddr, .memory_size = size,
			.userspace_addr = (uintptr_t)host,
		};

		fill(host, size, i + 1);
		vm.plain[i] = map(size);
		memcpy(vm.plain[i], host, size);
		vm.slots[i] = (struct gdump_slot){ .paddr = l[i].paddr, .size = size,
						   .host = host };
		CHECK_INT(uv_ioctl(vm.fd, KVM_SET_USER_MEMORY_REGION, &r), 0);
	}
	for (size_t i = 0; i < num_cpus; i++)
		vm.cpus[i] = uv_ioctl(vm.fd, KVM_CREATE_VCPU, NULL);
	CHECK_INT(uv_ioctl(vm.fd, KVM_S390_PV_COMMAND, &enable), 0);
}

static void vm_end(void)
{
	for (size_t i = 0; i < vm.num_slots; i++) {
		munmap((void *)(uintptr_t)vm.slots[i].host, vm.slots[i].size);
		munmap(vm.plain[i], vm.slots[i].size);
	}
}

/* All CPUs can run, and are let. */
static void vm_runs(void)
{
	CHECK(!uv_is_dumping(vm.fd));
	for (size_t i = 0; i < vm.num_cpus; i++)
		CHECK_INT(uv_ioctl(vm.cpus[i], KVM_RUN, NULL), 0);
	CHECK_INT(vm.pauses, vm.resumes);
}

static struct gdump_guest vm_desc(void)
{
	return (struct gdump_guest){
		.size = sizeof(struct gdump_guest), .name = "vm", .arch = "s390x",
		.slots = vm.slots, .num_slots = vm.num_slots, .num_cpus = vm.num_cpus,
		.vcpu_fds = vm.cpus, .vm_fd = vm.fd, .memory = GDUMP_MEMORY_S390_PV,
		.pause = vm_pause, .resume = vm_resume, .notes = vm_notes, .arg = &vm,
	};
}

static const struct gdump_open_options paused = {
	.size = sizeof(paused), .pause_guest = true, .warn = vm_warn, .warn_arg = &vm,
};

/* As gdump_open_guest(), with our ioctl. */
static struct gdump_error *vm_open(struct gdump *g)
{
	static char name[] = "vm";
	const struct gdump_guest desc = vm_desc();

	*g = (struct gdump){ .where = name };
	return embed_open(&desc, &paused, uv_ioctl, &g->source);
}

static struct gdump_error *vm_write(struct gdump *g, struct gdump_result *result)
{
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .format = "elf", .threads = 2, .resume_guest = true,
		.result = result,
	};

	*result = (struct gdump_result){ .size = sizeof(*result) };
	return gdump_write(g, NULL, path, &opt);
}

static void no_file(const struct gdump_result *result)
{
	CHECK(access(path, F_OK) && errno == ENOENT);
	CHECK(access(left, F_OK) && errno == ENOENT);
	CHECK(!result->partial_path);
	free(result->first_error);
}

static uint64_t be(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void compare_cpu(struct gdump *g, size_t cpu, const unsigned char *plain)
{
	static const struct { const char *set, *name; int off; } regs[] = {
		{ "general", "psw_mask", 160 }, { "general", "psw_addr", 168 },
		{ "general", "r0", 32 }, { "general", "r15", 152 }, { "general", "a15", 284 },
		{ "prefix", "prefix", 184 }, { "control", "c15", 408 }, { "timer", "timer", 200 },
		{ "float", "f3", 416 + 48 }, { "vec_low", "v2l", 424 + 32 },
		{ "guarded", "gs_epl_a", 1464 },
	};
	struct gdump_register r;

	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++) {
		bool found = false;

		for (size_t k = 0; !found && gdump_register_at(g, cpu, k, &r); k++)
			found = !strcmp(r.set, regs[i].set) && !strcmp(r.name, regs[i].name);
		/* the area's first 32 bytes are not in what is given */
		if (CHECK(found))
			CHECK_INT(r.value, be(plain + regs[i].off - 32, r.size));
	}
}

static struct gdump *open_file(const char *with_key)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .key_file = with_key };
	struct gdump *g = NULL;

	CHECK_OK(gdump_open(path, &opt, &g));
	return g;
}

static void compare_ranges(struct gdump *g)
{
	for (size_t i = 0; i < vm.num_slots; i++) {
		unsigned char *buf = malloc(vm.slots[i].size);

		CHECK_OK(gdump_read(g, vm.slots[i].paddr, buf, vm.slots[i].size));
		CHECK(!memcmp(buf, vm.plain[i], vm.slots[i].size));
		free(buf);
	}
	CHECK(!gdump_info(g)->incomplete);
}

static void compare_memory(void)
{
	struct gdump *g = open_file(key);

	if (g)
		compare_ranges(g);
	gdump_close(g);
}

/* Decrypt the dump and compare it with what was there before it was protected. */
static void compare(size_t lost_cpus)
{
	struct gdump *g = open_file(key);

	if (!g)
		return;
	compare_ranges(g);
	CHECK_INT(gdump_info(g)->num_cpus, vm.num_cpus - lost_cpus);
	for (size_t i = 0; i < vm.num_cpus - lost_cpus; i++)
		compare_cpu(g, i, uv_cpu_plain(vm.cpus[lost_cpus ? i + 1 : i]));
	gdump_close(g);
}

static void test_layouts(void)
{
	static const struct {
		struct layout l[MAX_SLOTS];
		size_t num_slots, num_cpus;
	} rows[] = {
		{ { { 0, 4 } }, 1, 1 },
		{ { { 16 * MIB, 3 } }, 1, 8 },
		{ { { 64 * MIB, 2 }, { 0, 3 }, { (uint64_t)5 << 32, 1 } }, 3, 2 },
		/* more than one piece of states, two ranges in one */
		{ { { 0, 300 }, { 512 * MIB, 7 } }, 2, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gdump_result result;
		struct gdump g;

		vm_start(rows[i].l, rows[i].num_slots, rows[i].num_cpus);
		CHECK_OK(vm_open(&g));
		CHECK_INT(vm.pauses, 1);
		CHECK(!uv_is_dumping(vm.fd));
		CHECK_OK(vm_write(&g, &result));
		CHECK_INT(result.lost_cpus, 0);
		vm_runs();
		compare(0);
		/* and again: it was resumed, so it has to be stopped anew */
		CHECK_ERR(vm_write(&g, &result), GDUMP_ERR_OS, "already exists");
		unlink(path);
		CHECK_ERR(vm_write(&g, &result), GDUMP_ERR_USAGE, "but it was resumed");
		no_file(&result);
		source_close(g.source);
		CHECK_OK(vm_open(&g));
		CHECK_OK(vm_write(&g, &result));
		source_close(g.source);
		vm_runs();
		compare(0);
		unlink(path);
		CHECK_STR(vm.warning, "");
		vm_end();
	}
}

static void start_small(void)
{
	static const struct layout l[] = { { 0, 2 }, { 8 * MIB, 1 } };

	vm_start(l, 2, 3);
}

/* Each call, and what it may answer: the guest runs, and there is no file. */
static void test_failures(void)
{
	static const struct {
		const char *spec;
		enum gdump_code code;
		const char *message;
	} rows[] = {
		{ "init:22", GDUMP_ERR_REMOTE, "another program is dumping the guest" },
		{ "init:22:0x131:0x7", GDUMP_ERR_PROTECTED,
		  "the guest's owner does not allow dumps" },
		{ "init:22:0x131:0x7", GDUMP_ERR_PROTECTED, "rc 0x0131, rrc 0x0007" },
		{ "init:14", GDUMP_ERR_OS, "KVM_PV_DUMP_INIT: Bad address" },
		{ "late-init:14", GDUMP_ERR_OS, "KVM_PV_DUMP_INIT: Bad address" },
		{ "late-init:14 complete:12", GDUMP_ERR_OS, "KVM_PV_DUMP_INIT: Bad address" },
		{ "init:5", GDUMP_ERR_REMOTE, "accepts commands only from the process that created the VM" },
		{ "init:25", GDUMP_ERR_UNSUPPORTED, "cannot dump protected guests" },
		{ "init:12", GDUMP_ERR_OS, "Cannot allocate memory" },
		{ "state:22", GDUMP_ERR_OS, "the states of the pages from 0x0 on" },
		{ "state:22:0x104:0x7", GDUMP_ERR_REMOTE, "rc 0x0104, rrc 0x0007" },
		{ "state:22:0x104:0x7:1:2", GDUMP_ERR_REMOTE, "pages from 0x800000 on" },
		{ "state:12", GDUMP_ERR_OS, "Cannot allocate memory" },
		{ "state:14", GDUMP_ERR_OS, "Bad address" },
		{ "late-state:14", GDUMP_ERR_OS, "Bad address" },
		{ "state:5", GDUMP_ERR_REMOTE, "while it lives" },
		{ "state:12 complete:12:0:0:4", GDUMP_ERR_OS, "CONFIG_STOR_STATE" },
		{ "state:12 complete:22:0x105:1:4", GDUMP_ERR_OS, "CONFIG_STOR_STATE" },
		{ "late-complete:14", GDUMP_ERR_REMOTE, "its data is lost" },
	};
	struct gdump_result result;
	struct gdump g;

	start_small();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uv_fail(rows[i].spec);
		CHECK_OK(vm_open(&g));
		CHECK_ERR(vm_write(&g, &result), rows[i].code, rows[i].message);
		no_file(&result);
		source_close(g.source);
		vm_runs();
	}
	uv_fail(NULL);
	vm_end();
}

/* One answer of one step; what it was, is no matter: there is a good dump or none, and the guest
 * runs.  Only a COMPLETE that never succeeds blocks it, for as long as it does not.
 */
static void try_failure(const char *step, const char *spec, bool for_ever)
{
	struct gdump_result result = { 0 };
	struct gdump_error *err;
	struct gdump g;

	uv_fail(spec);
	err = vm_open(&g);
	if (err) {
		CHECK_STR(step, !strcmp(step, "info") ? step : "could be opened");
		uv_fail(NULL);
		vm_runs();
		gdump_error_destroy(err);
		return;
	}
	err = vm_write(&g, &result);
	if (uv_is_dumping(vm.fd) && (!for_ever || strcmp(step, "complete") || !err ||
				     !strstr(gdump_error_message(err), "cannot run until it is")))
		CHECK_STR(spec, "lets the guest run");
	uv_fail(NULL);
	source_close(g.source);
	vm_runs();
	if (err) {
		no_file(&result);
	} else {
		CHECK_INT(result.lost_cpus, strcmp(step, "cpu") ? 0 : for_ever ? 3 : 1);
		compare_memory();
		unlink(path);
	}
	gdump_error_destroy(err);
}

static bool can_be(const char *step, bool late, const char *answer, int times)
{
	const bool completes = !strcmp(step, "complete");

	/* done all the same is what could not be copied out */
	if (late && (strncmp(answer, "14:", 3) || !strcmp(step, "info") || !strcmp(step, "cpu")))
		return false;
	/* only COMPLETE is tried again, but not by another process; without a word of the
	 * Ultravisor, KVM says that there is nothing to complete
	 */
	return completes ? strcmp(answer, "22:0:0") && (times < 2 || strcmp(answer, "5:0:0")) :
			   times < 2;
}

/* Every step, every errno with which it can fail, before and after its work was done */
static void test_all_failures(void)
{
	static const char *const steps[] = { "info", "init", "cpu", "state", "complete" };
	static const char *const answers[] = {
		"5:0:0", "12:0:0", "14:0:0", "16:0:0", "22:0:0", "22:0x108:0x3", "22:0x8001:0",
		"25:0:0",
	};
	static const int times[] = { 1, 2, -1 };
	char spec[64];

	start_small();
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps) * 2; i++) {
		const char *step = steps[i / 2];

		for (size_t k = 0; k < sizeof(answers) / sizeof(*answers); k++) {
			for (size_t n = 0; n < sizeof(times) / sizeof(*times); n++) {
				if (!can_be(step, i % 2, answers[k], times[n]))
					continue;
				snprintf(spec, sizeof(spec), "%s%s:%s:%d", i % 2 ? "late-" : "",
					 step, answers[k], times[n]);
				try_failure(step, spec, times[n] < 0);
			}
		}
	}
	vm_end();
}

/* Answers after which the dump is good all the same */
static void test_repeated(void)
{
	static const char *const specs[] = {
		"complete:12", "complete:12:0:0:3", "complete:22:0x105:0x1", "complete:14",
		"init:4:0:0:5", "state:4:0:0:2", "complete:4:0:0:20", "cpu:4",
	};
	struct gdump_result result;
	struct gdump g;

	start_small();
	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		uv_fail(specs[i]);
		CHECK_OK(vm_open(&g));
		CHECK_OK(vm_write(&g, &result));
		source_close(g.source);
		vm_runs();
		compare(0);
		unlink(path);
	}
	uv_fail(NULL);
	vm_end();
}

/* One CPU's registers cannot be had: it is told, the others and memory are good. */
static void test_lost_cpu(void)
{
	static const struct { const char *spec, *message; } rows[] = {
		{ "cpu:22", "CPU 0 are not in the dump: KVM_PV_DUMP_CPU: Invalid argument" },
		{ "cpu:22:0x102:0x3", "the Ultravisor returned rc 0x0102, rrc 0x0003" },
		{ "cpu:12", "Cannot allocate memory" },
		{ "cpu:14", "Bad address" },
	};
	struct gdump_result result;
	struct gdump g;

	start_small();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		vm.warning[0] = 0;
		uv_fail(rows[i].spec);
		CHECK_OK(vm_open(&g));
		CHECK_OK(vm_write(&g, &result));
		CHECK_INT(result.lost_cpus, 1);
		if (!CHECK(strstr(vm.warning, rows[i].message)))
			fprintf(stderr, "%s\n", vm.warning);
		source_close(g.source);
		vm_runs();
		unlink(path);
	}
	uv_fail(NULL);
	vm_end();
}

/* COMPLETE does not work, then it does: the guest goes on when it is closed, or asked to. */
static void test_blocked(void)
{
	struct gdump_result result;
	struct gdump g;

	start_small();
	for (int i = 0; i < 2; i++) {
		uv_fail("complete:22:0x105:0x1:-1");
		CHECK_OK(vm_open(&g));
		CHECK_ERR(vm_write(&g, &result), GDUMP_ERR_REMOTE,
			  "the guest cannot run until it is");
		no_file(&result);
		CHECK(uv_is_dumping(vm.fd));
		CHECK_ERR(gdump_resume(&g), GDUMP_ERR_REMOTE, "cannot run until it is");
		CHECK_INT(vm.resumes, vm.pauses - 1);
		if (!i) {
			uv_fail(NULL);
			CHECK_OK(gdump_resume(&g));
			vm_runs();
		}
		vm.warning[0] = 0;
		source_close(g.source);
		CHECK_STR(vm.warning, i ? "the dump could not be ended; the guest cannot run until it is: KVM_PV_DUMP_COMPLETE: the Ultravisor returned rc 0x0105, rrc 0x0001" : "");
		uv_fail(NULL);
	}
	vm_end();
}

static bool cancel(void *arg, uint64_t done, uint64_t total)
{
	(void)arg, (void)done, (void)total;
	return true;
}

/* It is not the firmware that fails. */
static void test_other_failures(void)
{
	struct gdump_write_options opt = { .size = sizeof(opt), .format = "elf" };
	struct gdump_result result = { 0 };
	struct gdump g;

	start_small();
	CHECK_OK(vm_open(&g));
	CHECK_ERR(gdump_write(&g, NULL, "/dev/full", &opt), GDUMP_ERR_OS, "No space left");
	CHECK(!uv_is_dumping(vm.fd));
	opt.progress = cancel;
	CHECK_ERR(gdump_write(&g, NULL, path, &opt), GDUMP_ERR_CANCELED, "canceled");
	no_file(&result);
	CHECK(!uv_is_dumping(vm.fd));
	source_close(g.source);
	vm_runs();
	vm_end();
}

/* Emulators of other machines have no such call, and then nothing tells of broken memory. */
static bool kernel_copies(void)
{
	char a = 1, b = 0;
	const struct iovec from = { &a, 1 }, to = { &b, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* A page that the host cannot read: the decrypted dump says so, instead of garbage. */
static void test_unreadable_page(void)
{
	struct gdump_result result;
	unsigned char page[PAGE];
	struct gdump *file;
	struct gdump g;

	start_small();
	CHECK_OK(vm_open(&g));
	mprotect((void *)(uintptr_t)((const char *)vm.slots[1].host + 40 * PAGE), PAGE, PROT_NONE);
	CHECK_OK(vm_write(&g, &result));
	CHECK_INT(result.unreadable, 1);
	free(result.first_error);
	source_close(g.source);
	vm_runs();
	file = open_file(key);
	if (file) {
		CHECK(gdump_info(file)->incomplete);
		CHECK_OK(gdump_read(file, 8 * MIB + 39 * PAGE, page, PAGE));
		CHECK(!memcmp(page, vm.plain[1] + 39 * PAGE, PAGE));
		CHECK_ERR(gdump_read(file, 8 * MIB + 40 * PAGE, page, PAGE), GDUMP_ERR_CORRUPT,
			  "0x828000");
	}
	gdump_close(file);
	unlink(path);
	vm_end();
}

static void refused_options(struct gdump *g, const struct gdump_write_options *opt)
{
	struct gdump_result result = { 0 };

	CHECK_ERR(gdump_write(g, NULL, path, opt), GDUMP_ERR_USAGE, "vm: the guest is protected");
	no_file(&result);
}

/* What cannot be is refused before anything is touched. */
static void test_refused(void)
{
	struct gdump_write_options opt = { .size = sizeof(opt) };
	struct gdump_open_options open = paused;
	struct gdump_guest desc;
	struct gdump_plan *plan;
	struct source *s = NULL;
	unsigned char byte;
	struct gdump g;

	start_small();
	CHECK_OK(vm_open(&g));
	uv_fail("init:5");              /* would be seen */
	refused_options(&g, &opt);
	opt.format = "lime";
	refused_options(&g, &opt);
	opt.format = "elf";
	opt.paging = true;
	refused_options(&g, &opt);
	CHECK_ERR(gdump_plan_create(&g, 1, &plan), GDUMP_ERR_PROTECTED, "the guest is protected");
	CHECK_ERR(gdump_read(&g, 0, &byte, 1), GDUMP_ERR_PROTECTED, "the guest is protected");
	source_close(g.source);
	uv_fail(NULL);
	open.length = MIB;
	desc = vm_desc();
	CHECK_ERR(embed_open(&desc, &open, uv_ioctl, &s), GDUMP_ERR_USAGE, "only as a whole");
	open = (struct gdump_open_options){ .size = sizeof(open) };
	CHECK_ERR(embed_open(&desc, &open, uv_ioctl, &s), GDUMP_ERR_USAGE, "while it is paused");
	desc.vm_fd = 0;
	CHECK_ERR(embed_open(&desc, &paused, uv_ioctl, &s), GDUMP_ERR_USAGE, "vm_fd");
	desc = vm_desc();
	desc.memory = GDUMP_MEMORY_PRIVATE;
	CHECK_ERR(embed_open(&desc, &paused, uv_ioctl, &s), GDUMP_ERR_PROTECTED, "private");
	desc = vm_desc();
	desc.arch = "x86_64";
	CHECK_ERR(embed_open(&desc, &paused, uv_ioctl, &s), GDUMP_ERR_USAGE, "only a guest of architecture s390x");
	uv_fail("cap:1");
	CHECK_ERR(vm_open(&g), GDUMP_ERR_UNSUPPORTED, "KVM_CAP_S390_PROTECTED_DUMP");
	uv_fail("info:22");
	CHECK_ERR(vm_open(&g), GDUMP_ERR_OS, "KVM_PV_INFO");
	uv_fail("info:25");
	CHECK_ERR(vm_open(&g), GDUMP_ERR_UNSUPPORTED, "KVM_PV_INFO");
	uv_fail(NULL);
	vm.slots[1].paddr += PAGE;
	CHECK_ERR(vm_open(&g), GDUMP_ERR_USAGE, "whole MiBs");
	vm.slots[1].paddr -= PAGE;
	vm_runs();
	vm_end();
}

/* The owner says no. */
static void test_denied(void)
{
	struct gdump_result result;
	struct gdump g;

	start_small();
	uv_deny(true);
	CHECK_OK(vm_open(&g));
	CHECK_ERR(vm_write(&g, &result), GDUMP_ERR_PROTECTED, "owner does not allow dumps");
	no_file(&result);
	source_close(g.source);
	vm_runs();
	uv_deny(false);
	vm_end();
}

/* Without its key, or with another one, the dump gives nothing. */
static void test_keys(void)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .key_file = wrong_key };
	struct gdump_result result;
	unsigned char byte;
	struct gdump *file = NULL;
	struct gdump g;

	start_small();
	CHECK_OK(vm_open(&g));
	CHECK_OK(vm_write(&g, &result));
	source_close(g.source);
	file = open_file(NULL);
	if (file)
		CHECK_ERR(gdump_read(file, 0, &byte, 1), GDUMP_ERR_NOKEY, "--key");
	gdump_close(file);
	CHECK_ERR(gdump_open(path, &opt, &file), GDUMP_ERR_NOKEY, "");
	unlink(path);
	vm_end();
}

static void save(const char *name, const void *buf, size_t len)
{
	const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	CHECK_INT(write(fd, buf, len), len);
	close(fd);
}

int main(void)
{
	/* every dump is synced to disk, so better have none */
	if (!access("/dev/shm", W_OK))
		strcpy(dir, "/dev/shm/gd-capture.XXXXXX");
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dump", dir);
	snprintf(left, sizeof(left), "%s.incomplete", path);
	snprintf(key, sizeof(key), "%s/key", dir);
	snprintf(wrong_key, sizeof(wrong_key), "%s/wrong", dir);
	save(key, cck, sizeof(cck));
	save(wrong_key, dir, 32);
	uv_set_key(cck);
	test_layouts();
	test_failures();
	test_all_failures();
	test_repeated();
	test_lost_cpu();
	test_blocked();
	test_other_failures();
	if (kernel_copies())
		test_unreadable_page();
	test_refused();
	test_denied();
	test_keys();
	unlink(path);
	unlink(key);
	unlink(wrong_key);
	rmdir(dir);
	return check_done();
}

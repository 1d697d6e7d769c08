/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_kvm.c - VMMs that dump their own guests: registers and memory are those of KVM
 */
#include "../unit/check.h"
#include "tiny.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static char dir[] = "/tmp/gd-test-kvm.XXXXXX", elf[64], kdump[64];

static struct gdump *open_tiny(struct tiny *t, bool pause, bool with_pause)
{
	const struct gdump_slot slots[] = {
		{ .paddr = TINY_HIGH_PADDR, .size = TINY_HIGH_SIZE, .host = t->high },
		{ .paddr = 0, .size = TINY_LOW_SIZE, .host = t->low },
	};
	const int fds[] = { t->cpus[0].fd, t->cpus[1].fd };
	const struct gdump_guest desc = {
		.size = sizeof(desc), .name = "tiny", .slots = slots, .num_slots = 2,
		.num_cpus = TINY_CPUS, .vcpu_fds = fds, .arg = t,
		.pause = with_pause ? tiny_pause : NULL, .resume = with_pause ? tiny_resume : NULL,
	};
	const struct gdump_open_options opt = { .size = sizeof(opt), .pause_guest = pause };
	struct gdump *g = NULL;

	CHECK_OK(gdump_open_guest(&desc, &opt, &g));
	if (!g)
		exit(check_done());
	return g;
}

static void write_as(struct gdump *g, const char *format, const char *path)
{
	const struct gdump_write_options opt = { .size = sizeof(opt), .format = format,
						 .force = true };

	CHECK_OK(gdump_write(g, NULL, path, &opt));
}

static uint64_t reg(const struct gdump *g, size_t cpu, const char *set, const char *name)
{
	struct gdump_register r;

	for (size_t i = 0; gdump_register_at(g, cpu, i, &r); i++) {
		if (!strcmp(r.name, name) && !strcmp(r.set, set))
			return r.value;
	}
	CHECK_STR(name, "a register");
	return 0;
}

static void check_registers(const struct gdump *g, const struct tiny *t)
{
	const uint64_t rip = reg(g, 0, "general", "rip");
	const struct gdump_info *info = gdump_info(g);
	size_t num_fp = 0;

	CHECK_INT(info->num_cpus, TINY_CPUS);
	CHECK_INT(reg(g, 0, "general", "r12"), TINY_R12(t->number));
	CHECK_INT(reg(g, 0, "general", "r13"), ~TINY_R12(t->number));
	CHECK_INT(reg(g, 0, "general", "fs_base"), TINY_FS_BASE);
	CHECK_INT(reg(g, 0, "control", "cr3"), TINY_PML4);
	CHECK_INT(reg(g, 0, "control", "cs_sel"), 8);
	CHECK_INT(reg(g, 0, "control", "cs_attr"), 0x00a09b00);
	CHECK_INT(reg(g, 0, "control", "fs_base"), TINY_FS_BASE);
	CHECK(rip == TINY_CODE + 20 || rip == TINY_CODE + 28);
	CHECK_INT(reg(g, 1, "general", "rax") & 0xffff, 0x1234);
	CHECK_INT(reg(g, 1, "general", "rdx") & 0xffff, TINY_PORT);
	CHECK_INT(reg(g, 1, "control", "cr0") & 1, 0);
	for (size_t i = 0; i < info->num_notes; i++) {
		const struct gdump_note *n = &info->notes[i];
		const unsigned char *desc = n->desc;
		struct kvm_fpu fpu;

		if (n->type != 2 || strcmp(n->name, "CORE"))
			continue;
		CHECK_INT(ioctl(t->cpus[num_fp++].fd, KVM_GET_FPU, &fpu), 0);
		CHECK_INT(n->size, 512);
		CHECK(!memcmp(desc, &fpu.fcw, 2) && fpu.fcw == 0x37f);
		CHECK(!memcmp(desc + 160, fpu.xmm, sizeof(fpu.xmm)));
	}
	CHECK_INT(num_fp, TINY_CPUS);
}

static void check_memory(struct gdump *g, const struct tiny *t)
{
	unsigned char *buf = malloc(TINY_LOW_SIZE);

	CHECK_OK(gdump_read(g, 0, buf, TINY_LOW_SIZE));
	CHECK(!memcmp(buf, t->low, TINY_LOW_SIZE));
	CHECK_OK(gdump_read(g, TINY_HIGH_PADDR, buf, TINY_HIGH_SIZE));
	CHECK(!memcmp(buf, t->high, TINY_HIGH_SIZE));
	CHECK_ERR(gdump_read(g, TINY_LOW_SIZE, buf, 4096), GDUMP_ERR_NODATA, "0x400000");
	free(buf);
}

static void check_file(const char *path, struct tiny *t, bool memory)
{
	struct gdump *g = NULL;

	CHECK_OK(gdump_open(path, NULL, &g));
	if (!g)
		return;
	CHECK_STR(gdump_info(g)->arch, "x86_64");
	tiny_pause(t);          /* KVM tells nothing of a CPU that runs */
	check_registers(g, t);
	tiny_resume(t);
	if (memory)
		check_memory(g, t);
	gdump_close(g);
}

/* Two guests at once, stopped for their dumps, and running again afterwards. */
static void test_paused(struct tiny *a, struct tiny *b)
{
	struct gdump *ga = open_tiny(a, true, true), *gb = open_tiny(b, true, true);
	const uint64_t count = tiny_count(a);

	CHECK(gdump_info(ga)->was_running && gdump_info(ga)->is_guest);
	write_as(ga, "elf", elf);
	write_as(gb, "kdump", kdump);
	check_file(elf, a, true);
	check_file(kdump, b, true);
	CHECK_INT(tiny_count(a), count);
	CHECK(gdump_paused_us(ga) > 0);
	CHECK_OK(gdump_resume(ga));
	CHECK(tiny_counts(a, count));
	gdump_close(ga);
	gdump_close(gb);
	CHECK(tiny_counts(b, tiny_count(b)));
}

static void test_running(struct tiny *t)
{
	struct gdump *g = open_tiny(t, false, true);

	CHECK(tiny_counts(t, tiny_count(t)));
	write_as(g, "kdump", kdump);
	gdump_close(g);
	check_file(kdump, t, false);
}

static void count_end(void *arg, struct gdump_job *job)
{
	(void)job;
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
}

/* Both at once, beside the VMM's own threads */
static void test_jobs(struct tiny *a, struct tiny *b)
{
	const struct gdump_write_options write = { .size = sizeof(write), .force = true };
	int ended = 0;
	struct gdump_job_options opt = { .size = sizeof(opt), .path = elf, .write = &write,
					 .ended = count_end, .ended_arg = &ended };
	struct gdump *ga = open_tiny(a, false, true), *gb = open_tiny(b, true, true);
	struct gdump_job *ja = NULL, *jb = NULL;

	CHECK_OK(gdump_job_start(ga, &opt, &ja));
	opt.path = kdump;
	CHECK_OK(gdump_job_start(gb, &opt, &jb));
	CHECK(tiny_counts(a, tiny_count(a)));
	CHECK_OK(gdump_job_wait(ja));
	CHECK_OK(gdump_job_wait(jb));
	CHECK_INT(ended, 2);
	check_file(elf, a, false);
	check_file(kdump, b, true);
	gdump_close(ga);
	gdump_close(gb);
	CHECK(tiny_counts(b, tiny_count(b)));
}

/* On a panic: the VMM holds the CPUs itself, and the library leaves that alone. */
static void test_stopped_already(struct tiny *t)
{
	struct gdump *g;

	tiny_wait_panic(t);
	tiny_pause(t);
	g = open_tiny(t, true, false);
	CHECK(!gdump_info(g)->was_running);
	write_as(g, "elf", elf);
	check_file(elf, t, true);
	gdump_close(g);
	CHECK_INT(t->stops, 1);
	tiny_resume(t);
}

int main(void)
{
	struct tiny a, b;

	if (!tiny_start(&a, 1)) {
		printf("SKIP: KVM cannot be used here\n");
		return 77;
	}
	if (!tiny_start(&b, 2))
		return 1;
	CHECK(mkdtemp(dir));
	snprintf(elf, sizeof(elf), "%s/elf", dir);
	snprintf(kdump, sizeof(kdump), "%s/kdump", dir);
	CHECK(tiny_counts(&a, 0) && tiny_counts(&b, 0));
	tiny_wait_panic(&a);
	tiny_wait_panic(&b);
	test_paused(&a, &b);
	test_running(&a);
	test_jobs(&a, &b);
	test_stopped_already(&b);
	tiny_end(&a);
	tiny_end(&b);
	unlink(elf);
	unlink(kdump);
	rmdir(dir);
	return check_done();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_embed.c - guests that are described: slots, callbacks, and what is refused
 */
#include "check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MIB = 1 << 20, PAGE = 4096, CPUS = 3 };

static char path[] = "/tmp/gd-test-embed.XXXXXX";
static unsigned char *memory;           /* MIB bytes, some pages never touched  */

static struct vm {
	int pauses, resumes, fail_pause, fail_resume, fail_notes;
	size_t num_notes;
	char warning[200];
} vm;

static int vm_pause(void *arg)
{
	struct vm *v = arg;

	v->pauses += !v->fail_pause;
	return v->fail_pause;
}

static int vm_resume(void *arg)
{
	struct vm *v = arg;

	__atomic_add_fetch(&v->resumes, !v->fail_resume, __ATOMIC_RELEASE);
	return v->fail_resume;
}

static int vm_notes(void *arg, size_t cpu, struct gdump_notes *to)
{
	struct vm *v = arg;
	unsigned char prstatus[336] = { 0 };

	prstatus[120 + 7] = (unsigned char)cpu;         /* psw_addr */
	gdump_note_add(to, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	gdump_note_add(to, "LINUX", NT_S390_PREFIX, "\0\1\2\3", 4);
	v->num_notes += 2;
	return v->fail_notes;
}

static void vm_warn(void *arg, const char *message)
{
	struct vm *v = arg;

	snprintf(v->warning, sizeof(v->warning), "%s", message);
}

static struct gdump_slot slots[3];

static struct gdump_guest describe(void)
{
	vm = (struct vm){ 0 };
	slots[0] = (struct gdump_slot){ .paddr = 64 * MIB, .size = MIB / 2, .host = memory };
	slots[1] = (struct gdump_slot){ .size = MIB / 4, .host = memory + MIB / 2 };
	slots[2] = (struct gdump_slot){ .paddr = MIB / 2, .size = MIB / 4,
					.host = memory + 3 * MIB / 4,
					.kind = GDUMP_RANGE_DEVICE };
	return (struct gdump_guest){
		.size = sizeof(struct gdump_guest), .name = "vm 7", .arch = "s390x",
		.slots = slots, .num_slots = 3, .num_cpus = CPUS, .notes = vm_notes,
		.pause = vm_pause, .resume = vm_resume, .arg = &vm,
	};
}

static struct gdump *open_guest(const struct gdump_guest *desc, bool pause)
{
	const struct gdump_open_options opt = {
		.size = sizeof(opt), .pause_guest = pause, .warn = vm_warn, .warn_arg = &vm,
	};
	struct gdump *g = NULL;

	CHECK_OK(gdump_open_guest(desc, &opt, &g));
	if (!g)
		exit(check_done());
	return g;
}

static bool is_populated(const unsigned char *page)
{
	unsigned long long entry = 0;
	FILE *f = fopen("/proc/self/pagemap", "re");

	if (f && !fseek(f, (long)((size_t)page / PAGE * 8), SEEK_SET))
		CHECK_INT(fread(&entry, 8, 1, f), 1);
	if (f)
		fclose(f);
	return entry >> 63;
}

static void write_and_compare(struct gdump *g, const char *format)
{
	const struct gdump_write_options opt = { .size = sizeof(opt), .format = format,
						 .force = true };
	struct gdump_plan *survey = NULL;
	struct gdump *file = NULL;
	struct gdump_register r;
	unsigned char *buf = malloc(MIB);

	CHECK_OK(gdump_plan_survey(g, &survey));
	CHECK_ERR(gdump_write(g, survey, path, &opt), GDUMP_ERR_USAGE,
		  "a plan of gdump_plan_survey() is only for statistics");
	gdump_plan_destroy(survey);
	madvise(memory + 9 * PAGE, PAGE, MADV_DONTNEED);
	CHECK_OK(gdump_write(g, NULL, path, &opt));
	CHECK(!is_populated(memory + 9 * PAGE));
	CHECK_OK(gdump_open(path, NULL, &file));
	if (file) {
		CHECK_STR(gdump_info(file)->arch, "s390x");
		CHECK_INT(gdump_info(file)->num_cpus, CPUS);
		CHECK(gdump_register_at(file, 2, 1, &r) && r.value == 2);
		CHECK_OK(gdump_read(file, 64 * MIB, buf, MIB / 2));
		CHECK(!memcmp(buf, memory, MIB / 2));
		CHECK_OK(gdump_read(file, 0, buf, MIB / 4));
		CHECK(!memcmp(buf, memory + MIB / 2, MIB / 4));
		CHECK_OK(gdump_read(file, 512 * 1024, buf, MIB / 4));
		CHECK(!memcmp(buf, memory + 3 * MIB / 4, MIB / 4));
	}
	gdump_close(file);
	free(buf);
}

static void test_paused(void)
{
	const struct gdump_guest desc = describe();
	struct gdump *g = open_guest(&desc, true);
	const struct gdump_info *info = gdump_info(g);

	memset(slots, 0, sizeof(slots));        /* it is needed no longer */
	CHECK_INT(info->num_ranges, 3);
	CHECK_INT(info->ranges[1].kind, GDUMP_RANGE_DEVICE);
	CHECK_INT(info->ranges[2].start, 64 * MIB);
	CHECK_INT(vm.pauses, 1);
	CHECK_INT(vm.num_notes, 2 * CPUS);
	CHECK(info->is_guest && info->was_running && info->big_endian);
	write_and_compare(g, "elf");
	CHECK_INT(vm.resumes, 0);
	CHECK_OK(gdump_resume(g));
	CHECK_OK(gdump_resume(g));
	gdump_close(g);
	CHECK_INT(vm.resumes, 1);
}

/* Only while the registers are read it stands still. */
static void test_running(void)
{
	const struct gdump_guest desc = describe();
	struct gdump *g = open_guest(&desc, false);

	CHECK(vm.pauses == 1 && vm.resumes == 1);
	write_and_compare(g, "kdump");
	gdump_close(g);
	CHECK(vm.pauses == 1 && vm.resumes == 1);
}

static void test_resume_fails(void)
{
	const struct gdump_guest desc = describe();
	struct gdump *g = open_guest(&desc, true);

	vm.fail_resume = EIO;
	CHECK_ERR(gdump_resume(g), GDUMP_ERR_OS, "vm 7: the guest is still paused");
	gdump_close(g);
	CHECK(strstr(vm.warning, "could not be resumed: Input/output error"));
	g = open_guest(&desc, true);
	vm.fail_resume = 0;
	gdump_close(g);
	CHECK_INT(vm.resumes, 1);
}

static void refused(const struct gdump_guest *desc, enum gdump_code code, const char *message)
{
	const struct gdump_open_options opt = { .size = sizeof(opt), .pause_guest = true };
	struct gdump *g;

	CHECK_ERR(gdump_open_guest(desc, &opt, &g), code, message);
	CHECK_INT(vm.pauses, vm.resumes);
}

static void test_refused(void)
{
	struct gdump_guest desc = describe();

	vm.fail_pause = EBUSY;
	refused(&desc, GDUMP_ERR_OS, "vm 7: cannot pause the guest: Device or resource busy");
	desc = describe();
	vm.fail_notes = EIO;
	refused(&desc, GDUMP_ERR_OS, "vm 7: CPU 0: cannot read its registers");
	CHECK_INT(vm.resumes, 1);
	desc = describe();
	slots[2].paddr = MIB / 4 - 1;
	refused(&desc, GDUMP_ERR_USAGE, "two slots contain the address 0x3ffff");
	desc = describe();
	slots[0].size = 0;
	refused(&desc, GDUMP_ERR_USAGE, "the slot at 0x4000000 has no memory");
	desc = describe();
	slots[0].paddr = (uint64_t)0 - PAGE;
	refused(&desc, GDUMP_ERR_USAGE, "has no memory");
	desc = describe();
	desc.arch = "pdp11";
	refused(&desc, GDUMP_ERR_UNSUPPORTED, "architecture 'pdp11' is unknown");
	desc = describe();
	desc.notes = NULL;
	refused(&desc, GDUMP_ERR_USAGE, "the registers of its CPUs cannot be read: set notes() or");
	desc = describe();
	desc.resume = NULL;
	refused(&desc, GDUMP_ERR_USAGE, "only one of pause() and resume() is set");
	desc = describe();
	desc.page_size = 5000;
	refused(&desc, GDUMP_ERR_USAGE, "the page size 5000 is invalid");
	CHECK_INT(vm.pauses, 0);
}

/* Emulators of other machines have no such call, and then nothing tells of broken memory. */
static bool kernel_copies(void)
{
	char a = 1, b = 0;
	const struct iovec from = { &a, 1 }, to = { &b, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* Memory that the host cannot read is lost in the dump of a guest that runs. */
static void test_broken_memory(void)
{
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options opt = { .size = sizeof(opt), .format = "elf",
						 .force = true, .result = &result };
	const struct gdump_guest desc = describe();
	struct gdump *g;

	memory[10 * PAGE] = 1;
	g = open_guest(&desc, false);
	mprotect(memory + 10 * PAGE, PAGE, PROT_NONE);
	CHECK_OK(gdump_write(g, NULL, path, &opt));
	CHECK_INT(result.unreadable, 1);
	CHECK(result.first_error && strstr(result.first_error, "0x400a000: the host cannot read it"));
	free(result.first_error);
	gdump_close(g);
}

/* Reads from the FIFO at @arg when the guest has been resumed, and not before. */
static void *read_late(void *arg)
{
	static char bytes[65536];
	const int *fd = arg;
	ssize_t n = 1;

	while (!__atomic_load_n(&vm.resumes, __ATOMIC_ACQUIRE))
		usleep(1000);
	while (n > 0 || (n < 0 && errno == EAGAIN)) {
		n = read(*fd, bytes, sizeof(bytes));
		if (n < 0)
			usleep(1000);
	}
	return NULL;
}

static bool now(void *arg)
{
	return arg;
}

/* Write to a FIFO that nobody reads as long as the guest is paused. */
static void stall(const struct gdump_open_options *options, gdump_cancel_fn *resume_now,
		  const char *why)
{
	static char fifo[] = "/tmp/gd-test-embed.fifo.XXXXXX";
	enum { SIZE = 16 * MIB };       /* more than the pipeline holds         */
	unsigned char *large = malloc(SIZE);
	const struct gdump_slot slot = { .size = SIZE, .host = large };
	struct gdump_guest desc = describe();
	const struct gdump_write_options opt = { .size = sizeof(opt), .format = "elf", .threads = 1,
						 .resume_guest = true, .resume_now = resume_now,
						 .resume_now_arg = &vm };
	struct gdump *g;
	pthread_t reader;
	int fd;

	memset(fifo + sizeof(fifo) - 7, 'X', 6);
	close(mkstemp(fifo));
	remove(fifo);
	CHECK(!mkfifo(fifo, 0600));
	fd = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	memset(large, 1, SIZE);
	desc.slots = &slot;
	desc.num_slots = 1;
	CHECK_OK(gdump_open_guest(&desc, options, &g));
	CHECK(!pthread_create(&reader, NULL, read_late, &fd));
	CHECK_ERR(gdump_write(g, NULL, fifo, &opt), GDUMP_ERR_REMOTE, why);
	CHECK_INT(vm.resumes, 1);
	pthread_join(reader, NULL);
	CHECK_ERR(gdump_write(g, NULL, path, &opt), GDUMP_ERR_REMOTE, "was resumed early");
	gdump_close(g);
	CHECK_INT(vm.resumes, 1);
	close(fd);
	remove(fifo);
	free(large);
}

/* Nothing keeps a guest paused for longer than is allowed. */
static void test_stalls(void)
{
	struct gdump_open_options opt = { .size = sizeof(opt), .pause_guest = true };

	opt.max_stall_ms = 300;
	stall(&opt, NULL, "the guest was resumed after 0.3 s without progress");
	opt.max_stall_ms = 0;
	opt.max_pause_ms = 300;
	stall(&opt, NULL, "the guest was resumed after the longest pause that is allowed, 0.3 s");
	opt.max_pause_ms = 0;
	stall(&opt, now, "the guest had to be resumed before all memory was read");
}

int main(void)
{
	int fd = mkstemp(path);

	memory = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!CHECK(fd >= 0 && memory != MAP_FAILED))
		return check_done();
	madvise(memory, MIB, MADV_NOHUGEPAGE);
	for (int i = 0; i < MIB / PAGE; i += 1 + i % 3)
		memory[i * PAGE + i] = (unsigned char)(i + 1);
	test_paused();
	test_running();
	test_resume_fails();
	test_refused();
	test_stalls();
	if (kernel_copies())
		test_broken_memory();
	remove(path);
	return check_done();
}

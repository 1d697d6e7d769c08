/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * There was no Windows to try this with.  Here is a machine made by hand with
 * what the format needs of one: page tables with pages of 4 KiB and 2 MiB, KDBG,
 * an array of PRCBs, CONTEXTs (one crosses from a page to another that lies
 * elsewhere) and a dump header as virtio-win's driver leaves it.
 */
#include "dumpfile.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "format/win_dmp.h"
#include "random.h"

enum {
	PAGE = 4096,
	RAM_PAGES = 64, HIGH_PFN = 0x100000, HIGH_PAGES = 16,
	/* where things are; PAGES of low RAM */
	CR3 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000,
	KDBG_PAGE = 0x8000, PRCB_PAGE = 0x9000, CONTEXT_0 = 0xa000, CONTEXT_1A = 0xb000,
	CONTEXT_1B = 0xe000, BUGCHECK_PAGE = 0xc000, HEADER_AT = 0x10018,
	CONTEXT_1_OFF = 0xe00,          /* 512 bytes before the page's end      */
	NUM_CPUS = 2,
};

/* Virtual pages: KERNEL + n * PAGE is what map[] says. */
static const uint64_t kernel = 0xfffff80000000000;
static const uint64_t map[] = { KDBG_PAGE, PRCB_PAGE, CONTEXT_0, CONTEXT_1A, CONTEXT_1B, BUGCHECK_PAGE };
enum { V_KDBG, V_PRCB, V_CONTEXT_0, V_CONTEXT_1, V_CONTEXT_1B, V_BUGCHECK };

static unsigned char low[RAM_PAGES * PAGE], high[HIGH_PAGES * PAGE];

static void set(unsigned char *p, uint64_t v, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static void make_tables(void)
{
	set(low + CR3 + 8 * (kernel >> 39 & 511), PDPT | 3, 8);
	set(low + PDPT + 8 * (kernel >> 30 & 511), PD | 3, 8);
	set(low + PD, PT | 3, 8);
	set(low + PD + 8, 0x83, 8);             /* 2 MiB: low memory again */
	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		set(low + PT + 8 * i, map[i] | 0x8000000000000003, 8);
}

static void make_kernel(void)
{
	unsigned char *kdbg = low + KDBG_PAGE + 0x100, *prcb = low + PRCB_PAGE;

	memcpy(kdbg + 0x10, "KDBG", 4);
	set(kdbg + 0x88, kernel + V_BUGCHECK * PAGE, 8);
	set(kdbg + 0xc0, 0xffffa00012345678, 8);
	set(kdbg + 0x218, kernel + V_PRCB * PAGE, 8);
	set(kdbg + 0x270, kernel + V_PRCB * PAGE + 0x400, 8);
	set(kdbg + 0x338, 0x40, 2);
	/* MmPhysicalMemoryBlock: the runs of the header */
	set(prcb + 0x400, kernel + V_PRCB * PAGE + 0x500, 8);
	set(prcb + 0x500, 2, 4);
	set(prcb + 0x508, RAM_PAGES - 1 + HIGH_PAGES, 8);
	set(prcb + 0x510, 1, 8);
	set(prcb + 0x518, RAM_PAGES - 1, 8);
	set(prcb + 0x520, HIGH_PFN, 8);
	set(prcb + 0x528, HIGH_PAGES, 8);
	/* the array, and two PRCBs in the same page; the second by its large page */
	set(prcb, kernel + V_PRCB * PAGE + 0x100, 8);
	set(prcb + 8, kernel + 0x200000 + PRCB_PAGE + 0x200, 8);
	set(prcb + 0x140, kernel + V_CONTEXT_0 * PAGE + 0x10, 8);
	set(prcb + 0x240, kernel + V_CONTEXT_1 * PAGE + CONTEXT_1_OFF, 8);
}

static void make_header(unsigned char *h)
{
	memset(h, 'P', WIN_HEADER_SIZE);
	for (size_t i = 0; i < WIN_HEADER_SIZE; i += 4)
		memcpy(h + i, "PAGE", 4);
	memcpy(h + 4, "DU64", 4);
	set(h + 0x10, CR3, 8);
	set(h + 0x30, 0x8664, 4);
	set(h + 0x34, NUM_CPUS, 4);
	memset(h + 0x38, 0, 40);
	set(h + 0x40, kernel + V_KDBG * PAGE + 0x100, 8);
	set(h + 0x80, kernel + 0x123000, 8);    /* encoded, so of no use */
	set(h + 0x88, 2, 4);
	set(h + 0x90, RAM_PAGES - 1 + HIGH_PAGES, 8);
	set(h + 0x98, 1, 8);
	set(h + 0xa0, RAM_PAGES - 1, 8);
	set(h + 0xa8, HIGH_PFN, 8);
	set(h + 0xb0, HIGH_PAGES, 8);
	set(h + 0xf98, 1, 4);
}

static void make_machine(void)
{
	uint64_t seed = 9;

	memset(low, 0, sizeof(low));
	random_bytes(&seed, low + 0x20000, sizeof(low) - 0x20000);
	random_bytes(&seed, high, sizeof(high));
	memset(high + 3 * PAGE, 0, PAGE);
	make_tables();
	make_kernel();
	make_header(low + HEADER_AT);
}

static void put_note(struct blob *b, const char *name, uint32_t type, const void *desc, size_t size)
{
	blob_put_le(b, strlen(name) + 1, 4);
	blob_put_le(b, size, 4);
	blob_put_le(b, type, 4);
	blob_put(b, name, strlen(name) + 1);
	blob_put(b, NULL, -b->len % 4);
	blob_put(b, desc, size);
}

static uint64_t reg_value(unsigned int cpu, size_t off)
{
	return 0x1111000000000000 * (cpu + 1) + off;
}

static void put_cpu(struct blob *b, unsigned int cpu)
{
	unsigned char prstatus[336] = { 0 }, fx[512] = { 0 };

	for (size_t off = 112; off < 328; off += 8)
		set(prstatus + off, reg_value(cpu, off), 8);
	set(fx + 24, 0x1f80 + cpu, 4);
	put_note(b, "CORE", NT_PRSTATUS, prstatus, sizeof(prstatus));
	put_note(b, "CORE", NT_FPREGSET, fx, sizeof(fx));
}

static void put_phdr(struct blob *b, uint32_t type, uint64_t off, uint64_t paddr, uint64_t size)
{
	blob_put_le(b, type, 4);
	blob_put_le(b, 7, 4);
	blob_put_le(b, off, 8);
	blob_put_le(b, 0, 8);
	blob_put_le(b, paddr, 8);
	blob_put_le(b, size, 8);
	blob_put_le(b, size, 8);
	blob_put_le(b, 0, 8);
}

/* The machine as QEMU's ELF file; @note: with the header as a note. */
static void save_elf(const char *name, bool note)
{
	struct blob b = { 0 }, notes = { 0 };
	const uint64_t off = 64 + 3 * 56;

	for (unsigned int cpu = 0; cpu < NUM_CPUS; cpu++)
		put_cpu(&notes, cpu);
	if (note)
		put_note(&notes, "VMCOREINFO", 0, low + HEADER_AT, WIN_HEADER_SIZE);
	blob_put(&b, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\4\0\76\0\1\0\0\0", 24);
	blob_put_le(&b, 0, 8);
	blob_put_le(&b, 64, 8);
	blob_put(&b, NULL, 12);
	blob_put_le(&b, 64, 2);
	blob_put_le(&b, 56, 2);
	blob_put_le(&b, 3, 2);
	blob_put(&b, NULL, 64 - b.len);
	put_phdr(&b, PT_NOTE, off, 0, notes.len);
	put_phdr(&b, PT_LOAD, off + notes.len, 0, sizeof(low));
	put_phdr(&b, PT_LOAD, off + notes.len + sizeof(low), (uint64_t)HIGH_PFN * PAGE, sizeof(high));
	blob_put(&b, notes.p, notes.len);
	blob_put(&b, low, sizeof(low));
	blob_put(&b, high, sizeof(high));
	blob_save(&b, name);
	blob_free(&b);
	blob_free(&notes);
}

static struct gdump_error *to_dmp(const char *from, const char *to, unsigned int threads,
				  struct gdump_result *result)
{
	return convert_dump(from, to, (struct gdump_write_options){
		.format = "win-dmp", .threads = threads }, result);
}

static uint64_t at(const struct blob *b, size_t off, unsigned int n)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < n; i++)
		v |= (uint64_t)b->p[off + i] << 8 * i;
	return v;
}

/* Where the dump has low memory */
static size_t low_at(uint64_t paddr)
{
	return WIN_HEADER_SIZE + (size_t)paddr - PAGE;
}

static void check_header(const struct blob *b)
{
	CHECK(!memcmp(b->p, "PAGEDU64", 8));
	CHECK_INT(b->len, WIN_HEADER_SIZE + (RAM_PAGES - 1 + HIGH_PAGES) * PAGE);
	CHECK_INT(at(b, WIN_SPACE, 8), b->len);
	CHECK_INT(at(b, WIN_KDBG, 8), kernel + V_KDBG * PAGE + 0x100);
	CHECK_INT(at(b, WIN_PFN_DATABASE, 8), 0xffffa00012345678);
	CHECK_INT(at(b, WIN_BUGCHECK, 4), WIN_LIVE_SYSTEM);
	CHECK_INT(at(b, WIN_DUMP_TYPE, 8), 1);
	CHECK_INT(at(b, WIN_NUM_RUNS, 8), 2);
	CHECK_INT(at(b, WIN_CONTEXT + 0xf8, 8), reg_value(0, 240));
}

static void check_context(const unsigned char *context, unsigned int cpu)
{
	struct blob b = { .p = (unsigned char *)(uintptr_t)context, .len = CONTEXT_SIZE };

	CHECK_INT(at(&b, 0x30, 4), 0x10000f);
	CHECK_INT(at(&b, 0x34, 4), 0x1f80 + cpu);
	CHECK_INT(at(&b, 0x38, 2), reg_value(cpu, 248) & 0xffff);
	CHECK_INT(at(&b, 0x78, 8), reg_value(cpu, 192));
	CHECK_INT(at(&b, 0x98, 8), reg_value(cpu, 264));
	CHECK_INT(at(&b, 0xf0, 8), reg_value(cpu, 112));
	CHECK_INT(at(&b, 0xf8, 8), reg_value(cpu, 240));
	CHECK_INT(at(&b, 0x100 + 24, 4), 0x1f80 + cpu);
}

/* All of memory is there, but for the contexts, which are those of the notes. */
static void check_memory(const struct blob *b)
{
	static unsigned char want[sizeof(low)];
	unsigned char context[CONTEXT_SIZE];
	const size_t first = PAGE - CONTEXT_1_OFF;

	check_context(b->p + low_at(CONTEXT_0 + 0x10), 0);
	memcpy(context, b->p + low_at(CONTEXT_1A + CONTEXT_1_OFF), first);
	memcpy(context + first, b->p + low_at(CONTEXT_1B), CONTEXT_SIZE - first);
	check_context(context, 1);
	memcpy(want, low, sizeof(low));
	memcpy(want + CONTEXT_0 + 0x10, b->p + low_at(CONTEXT_0 + 0x10), CONTEXT_SIZE);
	memcpy(want + CONTEXT_1A + CONTEXT_1_OFF, context, first);
	memcpy(want + CONTEXT_1B, context + first, CONTEXT_SIZE - first);
	CHECK(!memcmp(b->p + low_at(PAGE), want + PAGE, sizeof(low) - PAGE));
	CHECK(!memcmp(b->p + low_at(sizeof(low)), high, sizeof(high)));
}

static void test_write(void)
{
	struct gdump_result result;
	struct blob b;

	save_elf("note.elf", true);
	CHECK_OK(to_dmp("note.elf", "a.dmp", 1, &result));
	CHECK_INT(result.zero_filled, 0);
	b = blob_load("a.dmp");
	check_header(&b);
	check_memory(&b);
	blob_free(&b);
	CHECK_OK(to_dmp("note.elf", "b.dmp", 8, NULL));
	CHECK(same_file("a.dmp", "b.dmp"));
	/* found in memory */
	save_elf("search.elf", false);
	CHECK_OK(to_dmp("search.elf", "c.dmp", 2, NULL));
	CHECK(same_file("a.dmp", "c.dmp"));
}

static void *drain(void *arg)
{
	*(struct blob *)arg = blob_load("fifo");
	return NULL;
}

/* Contexts in pages of zeros and in others: patched in passing. */
static void test_pipe(void)
{
	struct blob got = { 0 }, want = blob_load("a.dmp");
	pthread_t thread;
	int end;

	CHECK(!mkfifo("fifo", 0600));
	CHECK(!pthread_create(&thread, NULL, drain, &got));
	end = open("fifo", O_WRONLY);
	CHECK_OK(to_dmp("note.elf", "fifo", 4, NULL));
	close(end);
	pthread_join(thread, NULL);
	CHECK(got.len == want.len && !memcmp(got.p, want.p, want.len));
	blob_free(&got);
	blob_free(&want);
}

static void test_read(void)
{
	unsigned char page[PAGE];
	const struct gdump_info *info;
	struct gdump_register reg;
	struct gdump *g;

	CHECK_OK(open_dump("a.dmp", &g));
	info = gdump_info(g);
	CHECK_STR(info->format, "win-dmp");
	CHECK_STR(info->arch, "x86_64");
	CHECK_INT(info->num_ranges, 2);
	CHECK_INT(info->num_cpus, NUM_CPUS);
	CHECK(!info->vmcoreinfo && !info->incomplete);
	CHECK_INT(info->num_excluded, 0);
	for (size_t cpu = 0; cpu < NUM_CPUS; cpu++) {
		for (size_t i = 0; gdump_register_at(g, cpu, i, &reg); i++) {
			if (!strcmp(reg.name, "rip"))
				CHECK_INT(reg.value, reg_value((unsigned int)cpu, 240));
		}
	}
	CHECK_OK(gdump_read(g, (uint64_t)HIGH_PFN * PAGE, page, PAGE));
	CHECK(!memcmp(page, high, PAGE));
	CHECK_ERR(gdump_read(g, 0, page, PAGE), GDUMP_ERR_NODATA, "0x0");
	gdump_close(g);
	/* to another format and back */
	CHECK_OK(convert_dump("a.dmp", "a.kdump", (struct gdump_write_options){ 0 }, NULL));
	CHECK_OK(to_dmp("a.kdump", "d.dmp", 2, NULL));
	CHECK(same_file("a.dmp", "d.dmp"));
}

static struct gdump_error *verify(const char *path)
{
	const struct gdump_write_options opt = { .size = sizeof(opt), .threads = 1 };
	struct gdump *g;
	struct gdump_error *err = gdump_open(path, NULL, &g);

	if (err)
		return err;
	err = gdump_verify(g, &opt);
	gdump_close(g);
	return err;
}

/* The kernel knows where its memory is. */
static void test_moved_run(void)
{
	struct blob b = blob_load("a.dmp");

	CHECK_OK(verify("a.dmp"));
	blob_set_le(&b, 0xa8, HIGH_PFN + 1, 8);
	blob_save(&b, "moved.dmp");
	CHECK_ERR(verify("moved.dmp"), GDUMP_ERR_CORRUPT, "MmPhysicalMemoryBlock has 0x");
	blob_free(&b);
}

/* Pages that runs have and the input lacks */
static void test_filled(void)
{
	struct gdump_result result;
	struct blob b;

	make_header(low + HEADER_AT);
	set(low + HEADER_AT + 0x90, RAM_PAGES - 1 + HIGH_PAGES - 2 + 1, 8);
	set(low + HEADER_AT + 0xa0, RAM_PAGES, 8);
	set(low + HEADER_AT + 0xb0, HIGH_PAGES - 2, 8);
	save_elf("filled.elf", true);
	CHECK_OK(to_dmp("filled.elf", "filled.dmp", 2, &result));
	CHECK_INT(result.zero_filled, 1);
	b = blob_load("filled.dmp");
	CHECK_INT(b.len, WIN_HEADER_SIZE + (RAM_PAGES + HIGH_PAGES - 2) * PAGE);
	for (size_t i = 0; i < PAGE; i++)
		CHECK(!b.p[low_at(RAM_PAGES * PAGE) + i]);
	blob_free(&b);
	make_header(low + HEADER_AT);
}

/* Nothing is believed that does not lead to KDBG, or has more than there is. */
static void test_no_header(void)
{
	static const struct {
		size_t off;
		uint64_t value;
	} lies[] = {
		{ 0, 0 }, { 0x10, 0x7000 }, { 0x10, UINT64_MAX }, { 0x30, 0x14c }, { 0x34, 0 },
		{ 0x40, 0 }, { 0x88, 0 }, { 0x88, 44 }, { 0x90, 5 }, { 0x98, 0x100001 },
		{ 0xa0, 0 }, { 0xa0, UINT64_MAX }, { 0xb0, 0x10000000 },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make_header(low + HEADER_AT);
		set(low + HEADER_AT + lies[i].off, lies[i].value, 4 + 4 * (lies[i].off != 0x30));
		save_elf("lie.elf", i % 2);
		CHECK_ERR(to_dmp("lie.elf", "lie.dmp", 1, NULL), GDUMP_ERR_UNSUPPORTED,
			  "there is no header of a Windows dump");
	}
	make_header(low + HEADER_AT);
	/* page tables that lead in a circle */
	set(low + CR3 + 8 * (kernel >> 39 & 511), CR3 | 3, 8);
	save_elf("lie.elf", true);
	CHECK_ERR(to_dmp("lie.elf", "lie.dmp", 1, NULL), GDUMP_ERR_UNSUPPORTED, "no header");
	make_machine();
}

/* The machine as a bitmap dump: pages 1 to 7 and the high ones but for the first. */
static struct blob make_bitmap(void)
{
	const uint64_t bits = HIGH_PFN + HIGH_PAGES, first = 0x30000;
	struct blob b = { 0 };

	blob_put(&b, low + HEADER_AT, WIN_HEADER_SIZE);
	blob_set_le(&b, WIN_DUMP_TYPE, 5, 4);
	blob_put(&b, "FDMPDUMP", 8);
	blob_put(&b, NULL, 24);
	blob_put_le(&b, first, 8);
	blob_put_le(&b, 7 + HIGH_PAGES - 1, 8);
	blob_put_le(&b, bits, 8);
	blob_put(&b, NULL, first - b.len);
	b.p[WIN_HEADER_SIZE + 0x38] = 0xfe;
	for (size_t i = 1; i < HIGH_PAGES; i++)
		b.p[WIN_HEADER_SIZE + 0x38 + (HIGH_PFN + i) / 8] |= (unsigned char)(1 << i % 8);
	blob_put(&b, low + PAGE, 7 * PAGE);
	blob_put(&b, high + PAGE, (HIGH_PAGES - 1) * PAGE);
	return b;
}

static void test_bitmap(void)
{
	struct blob b = make_bitmap();
	unsigned char page[PAGE];
	struct gdump *g;

	blob_save(&b, "bitmap.dmp");
	CHECK_OK(open_dump("bitmap.dmp", &g));
	CHECK_INT(gdump_info(g)->num_ranges, 2);
	CHECK_INT(gdump_info(g)->num_excluded, RAM_PAGES - 1 - 7 + 1);
	CHECK(!gdump_info(g)->incomplete);
	CHECK_OK(gdump_read(g, (uint64_t)(HIGH_PFN + 5) * PAGE, page, PAGE));
	CHECK(!memcmp(page, high + 5 * PAGE, PAGE));
	CHECK_OK(gdump_read(g, 7 * PAGE, page, PAGE));
	CHECK(!memcmp(page, low + 7 * PAGE, PAGE));
	CHECK_ERR(gdump_read(g, 8 * PAGE, page, PAGE), GDUMP_ERR_NODATA, "0x8000");
	gdump_close(g);

	/* without runs in the header: those of the bitmap */
	blob_set_le(&b, WIN_NUM_RUNS, 0x45474150, 4);
	blob_save(&b, "bitmap.dmp");
	CHECK_OK(open_dump("bitmap.dmp", &g));
	CHECK_INT(gdump_info(g)->num_pages, 7 + HIGH_PAGES - 1);
	CHECK_INT(gdump_info(g)->num_excluded, 0);
	gdump_close(g);

	blob_set_le(&b, WIN_HEADER_SIZE + 0x28, 99, 8);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "the bitmap has 22 pages, the header says 99");
	blob_set_le(&b, WIN_HEADER_SIZE + 0x20, 0x2100, 8);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "offset of the first page: 0x2100");
	blob_set_le(&b, WIN_HEADER_SIZE + 0x30, UINT64_MAX, 8);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "past the end of the file");
	blob_set_le(&b, WIN_HEADER_SIZE, 0, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "not that of a bitmap dump");
	blob_free(&b);
}

static void test_hostile(void)
{
	struct blob b = blob_load("a.dmp");
	struct gdump *g;
	uint64_t seed = 21;

	b.len -= 5 * PAGE;
	blob_save(&b, "cut.dmp");
	CHECK_OK(open_dump("cut.dmp", &g));
	CHECK(gdump_info(g)->incomplete);
	CHECK_INT(gdump_info(g)->num_excluded, 5);
	gdump_close(g);
	/* whatever is broken, nothing worse than an error comes of it */
	for (int i = 0; i < 2000; i++) {
		const size_t off = (size_t)random_below(&seed, i % 2 ? 0x100 : 0xa000);
		const unsigned char old = b.p[off];

		b.p[off] = (unsigned char)random_next(&seed);
		gdump_error_destroy(try_blob(&b));
		b.p[off] = old;
	}
	blob_set_le(&b, WIN_DUMP_TYPE, 4, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "minidump");
	blob_set_le(&b, WIN_DUMP_TYPE, 77, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "dump type 77");
	blob_set_le(&b, WIN_DUMP_TYPE, 1, 4);
	blob_set_le(&b, WIN_NUM_RUNS, 44, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_CORRUPT, "44 runs of memory are inconsistent");
	blob_set_le(&b, WIN_MACHINE, 0xaa64, 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "machine 0xaa64");
	memcpy(b.p + 4, "DUMP", 4);
	CHECK_ERR(try_blob(&b), GDUMP_ERR_UNSUPPORTED, "32-bit Windows");
	blob_free(&b);
}

int main(void)
{
	dumpfile_dir();
	make_machine();
	test_write();
	test_pipe();
	test_read();
	test_bitmap();
	test_moved_run();
	test_filled();
	test_no_header();
	test_hostile();
	dumpfile_done();
	return check_done();
}

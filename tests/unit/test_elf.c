/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <elf.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arch/arch.h"
#include "dump.h"
#include "util/bits.h"

enum { MIB = 1 << 20 };
static const uint64_t gib = 1 << 30;
static char path[] = "/tmp/gd-test-elf.XXXXXX";

/* A machine whose memory is all zero; with @sparse every other page is absent. */
struct fake {
	struct source source;
	bool sparse;
};

static struct gdump_error *fake_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	(void)s, (void)paddr;
	memset(buf, 0, len);
	return NULL;
}

static struct gdump_error *fake_scan(struct source *s, uint64_t pfn, size_t num,
				     unsigned char *state, bool holes)
{
	(void)holes;
	for (size_t i = 0; i < num; i++)
		state[i] = ((struct fake *)s)->sparse && (pfn + i) % 2 ? PAGE_ABSENT : PAGE_HOLE;
	return NULL;
}

static void fake_close(struct source *s)
{
	(void)s;
}

static const struct source_ops fake_ops = {
	.name = "fake", .has_absent = true, .read = fake_read, .scan = fake_scan,
	.close = fake_close,
};

struct range { uint64_t start, size; };

/* Write such a machine as ELF, and give the file's first bytes. */
static void write_elf(uint16_t machine, const struct range *ranges, size_t num, bool sparse,
		      unsigned char *head, size_t len)
{
	struct fake f = { .sparse = sparse };
	char where[] = "fake";
	struct gdump g = { .source = &f.source, .where = where };
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .format = "elf", .threads = 1, .force = true,
	};
	int fd;

	source_init(&f.source, &fake_ops);
	f.source.image.machine = machine;
	/* so that structs fit */
	f.source.image.big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	f.source.image.page_size = 4096;
	for (size_t i = 0; i < num; i++)
		CHECK_OK(image_add_range(&f.source.image, ranges[i].start, ranges[i].size,
					 GDUMP_RANGE_RAM));
	CHECK_OK(image_seal(&f.source.image));
	CHECK_OK(gdump_write(&g, NULL, path, &opt));
	source_close(&f.source);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	memset(head, 0, len);
	CHECK(fd >= 0 && read(fd, head, len) > 0);
	close(fd);
}

static void test_i386(void)
{
	static const struct range low[] = { { 0, 64 * MIB }, { 0xfffc0000, 0x40000 } };
	static const struct range high[] = { { 0, 1024 * MIB } };
	union {
		unsigned char bytes[4096];
		Elf32_Ehdr e;
	} u;
	const Elf32_Phdr *p = (const Elf32_Phdr *)(u.bytes + sizeof(Elf32_Ehdr));

	write_elf(EM_386, low, 2, false, u.bytes, sizeof(u));
	CHECK_INT(u.e.e_ident[EI_CLASS], ELFCLASS32);
	CHECK_INT(u.e.e_phoff, sizeof(Elf32_Ehdr));
	CHECK_INT(u.e.e_phnum, 3);
	CHECK(p[1].p_paddr == 0 && p[1].p_vaddr == 0xc0000000 && p[1].p_memsz == 64 * MIB);
	CHECK(p[2].p_paddr == 0xfffc0000 && p[2].p_vaddr == UINT32_MAX);
	/* low memory ends at 896 MiB */
	write_elf(EM_386, high, 1, false, u.bytes, sizeof(u));
	CHECK_INT(u.e.e_phnum, 3);
	CHECK(p[1].p_vaddr == 0xc0000000 && p[1].p_filesz == 896 * MIB);
	CHECK(p[2].p_paddr == 896 * MIB && p[2].p_vaddr == UINT32_MAX &&
	      p[2].p_filesz == 128 * MIB && p[2].p_offset == p[1].p_offset + 896 * MIB);
}

static void test_class(void)
{
	static const struct range low[] = { { 0x40000000, 16 * MIB } };
	const struct range far[] = { { 4 * gib, 16 * MIB } }, end[] = { { 4 * gib - MIB, MIB } };
	const struct range large[] = { { MIB, 4 * gib - 4096 - MIB } };
	const struct {
		uint16_t machine;
		const struct range *range;
		int class;
	} cases[] = {
		{ EM_ARM, low, ELFCLASS32 }, { EM_ARM, far, ELFCLASS64 },
		{ EM_ARM, end, ELFCLASS32 }, { EM_386, far, ELFCLASS64 },
		{ EM_386, large, ELFCLASS32 }, { EM_AARCH64, low, ELFCLASS64 },
		{ EM_X86_64, low, ELFCLASS64 }, { 0, low, ELFCLASS64 },
	};
	unsigned char head[4096];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_elf(cases[i].machine, cases[i].range, 1, false, head, sizeof(head));
		if (!CHECK_INT(head[EI_CLASS], cases[i].class))
			fprintf(stderr, "  in case %zu\n", i);
	}
}

static void test_identity(void)
{
	static const struct range r[] = { { 0x40000000, 16 * MIB }, { 0x80000000, MIB } };
	union {
		unsigned char bytes[4096];
		Elf64_Ehdr e;
	} u;
	const Elf64_Phdr *p = (const Elf64_Phdr *)(u.bytes + sizeof(Elf64_Ehdr));

	write_elf(EM_AARCH64, r, 2, false, u.bytes, sizeof(u));
	CHECK_INT(u.e.e_phnum, 3);
	for (int i = 1; i < 3; i++)
		CHECK(p[i].p_vaddr == p[i].p_paddr && p[i].p_paddr == r[i - 1].start);
}

/* More segments than e_phnum can count */
static void test_xnum(void)
{
	enum { PAGES = 200000 };
	const struct range r[] = { { 0, (uint64_t)PAGES * 4096 } };
	const size_t len = sizeof(Elf64_Ehdr) + (1 + PAGES / 2) * sizeof(Elf64_Phdr) +
			   sizeof(Elf64_Shdr);
	unsigned char *head = malloc(len);
	Elf64_Ehdr e;
	Elf64_Shdr sh;
	struct gdump *g;
	char c;

	write_elf(EM_X86_64, r, 1, true, head, len);
	memcpy(&e, head, sizeof(e));
	CHECK_INT(e.e_phnum, PN_XNUM);
	CHECK_INT(e.e_shnum, 1);
	CHECK_INT(e.e_shoff, len - sizeof(Elf64_Shdr));
	memcpy(&sh, head + len - sizeof(sh), sizeof(sh));
	CHECK_INT(sh.sh_info, 1 + PAGES / 2);
	CHECK_INT(sh.sh_type, SHT_NULL);
	free(head);
	CHECK_OK(gdump_open(path, NULL, &g));
	CHECK_INT(gdump_info(g)->num_ranges, 1);
	CHECK_INT(gdump_info(g)->num_pages, PAGES);
	CHECK_INT(gdump_info(g)->num_excluded, PAGES / 2);
	CHECK_OK(gdump_read(g, (PAGES - 2) * 4096ull + 4095, &c, 1));
	CHECK_ERR(gdump_read(g, (PAGES - 1) * 4096ull, &c, 1), GDUMP_ERR_NODATA, "");
	gdump_close(g);
}

/* A few bytes that claim far more memory than they have: it takes no time, and no memory. */
static void test_claims(void)
{
	const uint64_t size = (uint64_t)200 << 40;
	const struct gdump_write_options opt = {
		.size = sizeof(opt), .format = "elf", .force = true,
	};
	const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p;
		unsigned char page[4096];
	} file = {
		.e = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
				     big ? ELFDATA2MSB : ELFDATA2LSB, 1 },
			.e_type = ET_CORE, .e_machine = big ? EM_S390 : EM_X86_64,
			.e_version = 1, .e_phnum = 1,
			.e_phoff = sizeof(file.e), .e_phentsize = sizeof(file.p),
		},
		.p = {
			.p_type = PT_LOAD, .p_offset = sizeof(file.e) + sizeof(file.p),
			.p_paddr = 0x100000, .p_filesz = sizeof(file.page), .p_memsz = size,
		},
	};
	struct gdump_plan *plan = NULL;
	const int fd = open(path, O_WRONLY | O_TRUNC);
	struct rusage used;
	struct gdump *g;

	CHECK_INT(write(fd, &file, sizeof(file)), sizeof(file));
	close(fd);
	CHECK_OK(gdump_open(path, NULL, &g));
	CHECK_INT(gdump_info(g)->num_excluded, size / 4096 - 1);
	CHECK_OK(gdump_plan_create(g, 31, &plan));
	CHECK_INT(gdump_plan_kept(plan), 1);
	CHECK_INT(gdump_plan_dropped(plan, GDUMP_DROP_ABSENT), size / 4096 - 1);
	CHECK_OK(gdump_write(g, plan, path, &opt));
	gdump_plan_destroy(plan);
	gdump_close(g);
	CHECK_OK(gdump_open(path, NULL, &g));
	CHECK_INT(gdump_info(g)->num_excluded, size / 4096 - 1);
	gdump_close(g);
	/* a bit for each page would be 6.7 GB; valgrind touches all that calloc() gives */
	CHECK_INT(getrusage(RUSAGE_SELF, &used), 0);
	CHECK(used.ru_maxrss < 1 << 20 || getenv("GUESTDUMP_QUICK"));
}

/* Of a part of memory what is absent is counted there. */
static void test_part(void)
{
	struct gdump_open_options opt = { .size = sizeof(opt) };
	const struct range r[] = { { 0, 64 * 4096 } };
	unsigned char head[1];
	struct gdump *g;

	write_elf(EM_X86_64, r, 1, true, head, sizeof(head));
	for (size_t n = 1; n <= 4; n++) {
		opt.begin = 4096;
		opt.length = n * 4096;
		CHECK_OK(gdump_open(path, &opt, &g));
		CHECK_INT(gdump_info(g)->num_pages, n);
		CHECK_INT(gdump_info(g)->num_excluded, (n + 1) / 2);
		gdump_close(g);
	}
}

/* A segment whose data ends within a page, at the end of the file: the rest of the page is zero,
 * as the header says.  If the data was cut off, the page is missing.
 */
static void test_partial_page(void)
{
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p;
		unsigned char data[100];
	} f = {
		.e = {
			.e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, __BYTE_ORDER__ ==
				     __ORDER_BIG_ENDIAN__ ? ELFDATA2MSB : ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
			.e_phoff = sizeof(f.e), .e_ehsize = sizeof(f.e),
			.e_phentsize = sizeof(f.p), .e_phnum = 1,
		},
		.p = {
			.p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X,
			.p_offset = sizeof(f.e) + sizeof(f.p), .p_paddr = 0x10000,
			.p_filesz = sizeof(f.data), .p_memsz = 4096,
		},
	};
	const size_t len = sizeof(f.e) + sizeof(f.p) + sizeof(f.data);
	unsigned char page[4096], want[4096] = { 0 };
	struct gdump *g;
	int fd;

	memset(f.data, 'p', sizeof(f.data));
	memset(want, 'p', sizeof(f.data));
	for (size_t cut = 0; cut < 2; cut++) {
		fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		CHECK(write(fd, &f, len - cut) == (ssize_t)(len - cut));
		close(fd);
		CHECK_OK(gdump_open(path, NULL, &g));
		CHECK_INT(gdump_info(g)->incomplete, cut);
		CHECK_INT(gdump_info(g)->num_excluded, cut);
		if (cut) {
			CHECK_ERR(gdump_read(g, 0x10000, page, 4096), GDUMP_ERR_NODATA, "");
		} else {
			CHECK_OK(gdump_read(g, 0x10000, page, 4096));
			CHECK(!memcmp(page, want, 4096));
		}
		gdump_close(g);
	}
}

int main(void)
{
	mallopt(M_PERTURB, 0);          /* with it calloc() touches what it gives */
	const int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	test_i386();
	test_class();
	test_identity();
	test_xnum();
	test_claims();
	test_part();
	test_partial_page();
	unlink(path);
	return check_done();
}

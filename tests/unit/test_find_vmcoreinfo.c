/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "fake_kernel.h"

#include "arch/arch.h"
#include "kernel/choose_vmcoreinfo.h"
#include "machine/vmcoreinfo.h"

enum { MEMORY = 1 << 20, TOP = 0x1000, MIDDLE = 0x2000, LOW = 0x3000,
       CR0 = 392, CR3 = 416, QEMU_NOTE = 440 };

/* Two kernels, whose init_uts_ns are at 0x40000 and 0x50000; the second is of 5.10 */
static const char first[] = "OSRELEASE=6.1.0-first\nPAGESIZE=4096\nNUMBER(phys_base)=0\n"
	"SYMBOL(init_uts_ns)=ffffffff80040000\nOFFSET(uts_namespace.name)=0\n";
static const char crashed[] = "OSRELEASE=6.1.0-first\nPAGESIZE=4096\nNUMBER(phys_base)=0\n"
	"SYMBOL(init_uts_ns)=ffffffff80040000\nOFFSET(uts_namespace.name)=0\nCRASHTIME=1795424178\n";
static const char second[] = "OSRELEASE=5.10.0-second\nPAGESIZE=4096\nNUMBER(phys_base)=0\n"
	"SYMBOL(init_uts_ns)=ffffffff80050000\n";
static const char gone[] = "OSRELEASE=4.19.0-gone\nPAGESIZE=4096\nNUMBER(phys_base)=0\n"
	"SYMBOL(init_uts_ns)=ffffffff80060000\n";

static struct fake *memory(void)
{
	struct fake *f = fake_create_bare(EM_X86_64, MEMORY);

	strcpy((char *)f->memory + 0x40000, "Linux");
	strcpy((char *)f->memory + 0x40000 + 130, "6.1.0-first");
	strcpy((char *)f->memory + 0x50004, "Linux");
	strcpy((char *)f->memory + 0x50004 + 130, "5.10.0-second");
	return f;
}

static void put_note(struct fake *f, uint64_t at, const char *text)
{
	put(f, at, 11, 4);
	put(f, at + 4, strlen(text), 4);
	strcpy((char *)f->memory + at + 12, "VMCOREINFO");
	memcpy(f->memory + at + 24, text, strlen(text));
}

/* A CPU whose page tables have the kernel's image at @paddr */
static void add_cpu(struct fake *f, uint64_t paddr)
{
	unsigned char note[QEMU_NOTE] = { 0 };
	struct cursor cr0 = cursor_init(note + CR0, 8, false, true);
	struct cursor cr3 = cursor_init(note + CR3, 8, false, true);

	set(f, TOP, 511, MIDDLE | 1);
	set(f, MIDDLE, 510, LOW | 1);
	set(f, LOW, 0, 0x4001);
	set(f, 0x4000, 0x50, (0x50000 + paddr) | 1);
	put_uint(&cr0, (uint64_t)1 << 31, 8);
	put_uint(&cr3, TOP, 8);
	CHECK_OK(image_add_note(&f->source.image, "QEMU", 0, note, sizeof(note)));
}

/* Of @kernel (NULL: any), choose it among notes and memory; @release: of the one that must be
 * found, NULL: none.
 */
static void check_chosen(struct fake *f, const char *kernel, const char *release, bool warns)
{
	char got[64] = "";

	f->source.kernel = kernel;
	CHECK_OK(image_seal(&f->source.image));
	CHECK_OK(choose_vmcoreinfo(&f->source, 0));
	CHECK_INT(vmcoreinfo_string(&f->source.image, "OSRELEASE", got, sizeof(got)), release != NULL);
	CHECK_STR(got, release ? release : "");
	CHECK_STR(f->source.image.release, release ? release : "");
	CHECK_INT(strstr(f->source.image.warning, "there are two kernels, ") != NULL, warns);
	source_close(&f->source);
}

static void check_found(struct fake *f, const char *release)
{
	check_chosen(f, NULL, release, false);
}

static void check_none(struct fake *f)
{
	check_chosen(f, NULL, NULL, true);
}

/* Memory with notes beside it, as a file has them */
static struct fake *with_notes(const char *a, const char *b)
{
	struct fake *f = memory();

	CHECK_OK(image_add_note(&f->source.image, "VMCOREINFO", 0, a, strlen(a)));
	CHECK_OK(image_add_note(&f->source.image, "VMCOREINFO", 0, b, strlen(b)));
	return f;
}

static void test_notes(void)
{
	struct fake *f;

	/* the memory has no kernel that fits: the first one */
	check_chosen(with_notes(gone, "OSRELEASE=1\n"), NULL, "4.19.0-gone", true);
	/* twice the same */
	check_chosen(with_notes(first, first), NULL, "6.1.0-first", false);
	/* the second one is proved */
	check_chosen(with_notes(gone, second), NULL, "5.10.0-second", false);
	check_chosen(with_notes(first, crashed), NULL, "6.1.0-first", false);
	/* both are in memory, and the CPUs run one, or none */
	f = with_notes(first, second);
	add_cpu(f, 0);
	check_chosen(f, NULL, "5.10.0-second", false);
	check_chosen(with_notes(first, second), NULL, "6.1.0-first", true);
}

static void test_by_name(void)
{
	struct fake *f;

	check_chosen(with_notes(first, second), "5.10.0-second", "5.10.0-second", false);
	check_chosen(with_notes(first, second), "6.1.0-first", "6.1.0-first", false);
	/* in memory only */
	f = with_notes(first, first);
	put_note(f, 0x90000, second);
	check_chosen(f, "5.10.0-second", "5.10.0-second", false);
	f = memory();
	put_note(f, 0x80000, first);
	put_note(f, 0x90000, second);
	check_chosen(f, "6.1.0-first", "6.1.0-first", false);
	/* by its place */
	f = with_notes("OSRELEASE=6\nKERNELOFFSET=2000000\n", "OSRELEASE=6\nKERNELOFFSET=4000000\n");
	check_chosen(f, "4000000", "6", false);
	/* the crash kernel, which is in memory only */
	f = with_notes(crashed, crashed);
	put_note(f, 0x90000, second);
	check_chosen(f, "running", "5.10.0-second", false);
	check_chosen(with_notes(crashed, second), "running", "5.10.0-second", false);
	/* none */
	f = with_notes(first, second);
	f->source.kernel = "5.10";
	CHECK_OK(image_seal(&f->source.image));
	CHECK_ERR(choose_vmcoreinfo(&f->source, 0), GDUMP_ERR_USAGE, "no VMCOREINFO of a kernel '5.10'");
	source_close(&f->source);
}

int main(void)
{
	struct fake *f = memory();

	check_found(f, NULL);

	/* not at a page's begin */
	f = memory();
	put_note(f, 0x80040, first);
	check_found(f, NULL);

	/* one that leads nowhere is better than none, and worse than others */
	f = memory();
	put_note(f, 0x80000, gone);
	check_found(f, "4.19.0-gone");
	f = memory();
	put_note(f, 0x80000, gone);
	put_note(f, 0x90000, second);
	put_note(f, 0xa0000, gone);
	check_found(f, "5.10.0-second");

	/* two kernels that are both there: which is not known */
	f = memory();
	put_note(f, 0x80000, first);
	put_note(f, 0x90000, second);
	check_none(f);

	/* but by the CPUs */
	f = memory();
	put_note(f, 0x80000, first);
	put_note(f, 0x90000, second);
	add_cpu(f, 0);
	check_found(f, "5.10.0-second");
	f = memory();
	put_note(f, 0x80000, first);
	put_note(f, 0x90000, second);
	add_cpu(f, 0x1000);             /* in neither's place */
	check_none(f);

	/* or when the other one is what collects the dump of the first */
	f = memory();
	put_note(f, 0x80000, crashed);
	put_note(f, 0x90000, second);
	add_cpu(f, 0);
	check_found(f, "6.1.0-first");
	test_notes();
	test_by_name();
	return check_done();
}

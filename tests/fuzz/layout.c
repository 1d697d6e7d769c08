/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * layout.c - the memory of a guest in another process, whose place its kernel says
 *
 * The guest is small, and honest: a kernel with page tables and VMCOREINFO, firmware's tables, and a
 * second piece of memory.  The input is changes of it: three bytes where, one how many, and as many
 * bytes.  The process that has the memory has nothing else.
 */
#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fuzz.h"
#include "live/layout.h"
#include "util/cursor.h"

enum {
	PIECE = 1 << 20, NUM_PIECES = 2, MAX_CHANGE = 8, MAX_AREAS = 512, MIN_AREA = 256 << 10,
	ROOT = 0x10000, NAME = 0x20000, NOTE = 0x30000, POINTER = 0x40000,      /* in the first piece */
	TABLES = 0x2000,                /* of the firmware, in the second one   */
};

#define KERNEL_MAP 0xffffffff80000000
#define SECOND ((uint64_t)0x80180000)   /* where the second piece is: in two page tables */

static unsigned char *pieces[NUM_PIECES];
static unsigned char honest[NUM_PIECES][PIECE];
static pid_t process;

/* The honest guest ----------------------------------------------------------- */

static void put_entry(size_t piece, uint64_t table, unsigned int i, uint64_t entry)
{
	struct cursor c = cursor_init(honest[piece] + table + 8 * i, 8, false, true);

	put_u64(&c, entry);
}

/* The direct map is at 0xffff888000000000; a table that maps half of the second piece is in it. */
static void put_page_tables(void)
{
	put_entry(0, ROOT, 273, ROOT + 0x1001);
	put_entry(0, ROOT + 0x1000, 0, ROOT + 0x2001);
	put_entry(0, ROOT + 0x1000, 2, ROOT + 0x4001);
	put_entry(0, ROOT + 0x2000, 0, ROOT + 0x3001);
	put_entry(0, ROOT + 0x4000, 0, ROOT + 0x8001);
	put_entry(0, ROOT + 0x4000, 1, SECOND + 0x1001);
	for (unsigned int i = 0; i < PIECE / 4096; i++)
		put_entry(0, ROOT + 0x3000, i, i * 4096 + 1);
	for (unsigned int i = 0; i < PIECE / 2 / 4096; i++) {
		put_entry(0, ROOT + 0x8000, 384 + i, SECOND + i * 4096 + 1);
		put_entry(1, 0x1000, i, SECOND + PIECE / 2 + i * 4096 + 1);
	}
	put_entry(0, ROOT, 511, ROOT + 0x5001);
	put_entry(0, ROOT + 0x5000, 510, ROOT + 0x6001);
	put_entry(0, ROOT + 0x6000, 0, ROOT + 0x7001);
	for (unsigned int i = NAME / 4096; i < NAME / 4096 + 16; i++)
		put_entry(0, ROOT + 0x7000, i, i * 4096 + 1);
}

static void put_kernel(void)
{
	struct cursor c = cursor_init(honest[0] + NOTE, 4096, false, true);
	char *text = (char *)honest[0] + NOTE + 24, *uts = (char *)honest[0] + NAME + 4;

	strcpy(uts, "Linux");
	strcpy(uts + 65, "guest");
	strcpy(uts + 130, "6.1.0-fuzz");
	strcpy(uts + 195, "#1 SMP");
	sprintf(text, "OSRELEASE=6.1.0-fuzz\nSYMBOL(init_uts_ns)=%llx\nSYMBOL(swapper_pg_dir)=%llx\n"
		"NUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)=0\n",
		(unsigned long long)(KERNEL_MAP + NAME), (unsigned long long)(KERNEL_MAP + ROOT));
	put_u32(&c, 11);
	put_u32(&c, (uint32_t)strlen(text));
	put_u32(&c, 0);
	memcpy(honest[0] + NOTE + 12, "VMCOREINFO", 11);
}

static void put_sum(unsigned char *p, size_t len, size_t at)
{
	unsigned char sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (unsigned char)(sum + p[i]);
	p[at] = (unsigned char)(p[at] - sum);
}

static void put_table(uint64_t off, const char *name, uint32_t len, const uint32_t *entries)
{
	struct cursor c = cursor_init(honest[1] + off, len, false, true);

	memcpy(honest[1] + off, name, 4);
	get_u32(&c);
	put_u32(&c, len);
	cursor_take(&c, 36 - 8);
	for (size_t i = 0; i < (len - 36) / 4; i++)
		put_u32(&c, entries[i]);
	put_sum(honest[1] + off, len, 9);
}

static void put_firmware(void)
{
	static const uint32_t entries[] = { SECOND + TABLES + 0x1000, SECOND + TABLES + 0x2000 };
	struct cursor c = cursor_init(honest[0] + POINTER + 16, 4, false, true);

	memcpy(honest[0] + POINTER, "RSD PTR ", 8);
	put_u32(&c, SECOND + TABLES);
	put_sum(honest[0] + POINTER, 20, 8);
	put_table(TABLES, "RSDT", 36 + sizeof(entries), entries);
	put_table(TABLES + 0x1000, "FACP", 36, NULL);
	put_table(TABLES + 0x2000, "APIC", 36, NULL);
}

/* The process ------------------------------------------------------------------ */

struct area {
	uint64_t start, end;
};

/* Without calls, since a sanitizer's memory is given up, too */
__attribute__((__noreturn__, __no_sanitize__("address", "undefined", "coverage"), __noinline__))
static void live_alone(const struct area *areas, size_t num)
{
	long rc;

	for (size_t i = 0; i < num; i++)
		__asm__ volatile("syscall" : "=a"(rc) : "a"(SYS_munmap), "D"(areas[i].start),
				 "S"(areas[i].end - areas[i].start) : "rcx", "r11", "memory");
	for (;;)
		__asm__ volatile("syscall" : "=a"(rc) : "a"(SYS_pause) : "rcx", "r11", "memory");
}

static void become_guest(pid_t parent)
{
	struct area areas[MAX_AREAS];
	char line[512], perms[5];
	size_t num = 0;
	FILE *f;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	f = fopen("/proc/self/maps", "r");
	while (f && num < MAX_AREAS && fgets(line, sizeof(line), f)) {
		struct area *a = &areas[num];

		if (sscanf(line, "%lx-%lx %4s", &a->start, &a->end, perms) == 3 && perms[1] == 'w' &&
		    a->end - a->start >= MIN_AREA && !strstr(line, "[stack]") &&
		    a->start != (uintptr_t)pieces[0] && a->start != (uintptr_t)pieces[1])
			num++;
	}
	live_alone(areas, num);
}

static void *map_piece(void)
{
	const int fd = memfd_create("piece", 0);
	void *p = ftruncate(fd, PIECE) ? MAP_FAILED :
		  mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	if (p == MAP_FAILED)
		fuzz_die("cannot map memory");
	return p;
}

static struct gdump_error *find(struct memory_map *map)
{
	const struct debug debug = { .fn = NULL };
	struct procmem *mem = NULL;
	struct gdump_error *err = procmem_open(process, &mem);

	if (!err)
		err = layout_find(mem, EM_X86_64, NULL, &debug, map);
	procmem_close(mem);
	return err;
}

/* Until the process has nothing but the guest's memory */
static bool is_alone(void)
{
	struct procmem_span *spans = NULL;
	struct procmem *mem = NULL;
	size_t num = 0;
	struct gdump_error *err = procmem_open(process, &mem);

	if (!err)
		err = procmem_find_spans(mem, MIN_AREA, &spans, &num);
	free(spans);
	procmem_close(mem);
	gdump_error_destroy(err);
	return num == NUM_PIECES;
}

static void set_honest(void)
{
	for (size_t i = 0; i < NUM_PIECES; i++)
		memcpy(pieces[i], honest[i], PIECE);
}

void fuzz_layout_prepare(void)
{
	const pid_t parent = getpid();
	struct memory_map map = { 0 };
	struct gdump_error *err;

	for (size_t i = 0; i < NUM_PIECES; i++)
		pieces[i] = map_piece();
	put_page_tables();
	put_kernel();
	put_firmware();
	set_honest();
	process = fork();
	if (!process)
		become_guest(parent);
	for (int i = 0; i < 1000 && !is_alone(); i++)
		usleep(50000);
	err = find(&map);
	if (err || map.num_slots != 2 || map.slots[0].hva != (uintptr_t)pieces[0] ||
	    map.slots[1].paddr != SECOND || map.slots[1].hva != (uintptr_t)pieces[1])
		fuzz_die("the honest guest is not found: %s", err ? gdump_error_message(err) : "elsewhere");
	memory_map_deinit(&map);
}

/* What is found lies in the process. */
static void look_at_map(const struct memory_map *map)
{
	for (size_t i = 0; i < map->num_slots; i++) {
		const struct mem_slot *s = &map->slots[i];
		bool good = false;

		for (size_t k = 0; k < NUM_PIECES; k++)
			good |= s->hva - (uintptr_t)pieces[k] < PIECE &&
				s->size <= PIECE - (s->hva - (uintptr_t)pieces[k]);
		if (!good)
			fuzz_die("memory at 0x%llx that the process does not have", (unsigned long long)s->hva);
	}
}

void fuzz_layout(const uint8_t *data, size_t size)
{
	struct memory_map map = { 0 };
	struct gdump_error *err;
	size_t n;

	set_honest();
	for (; size > 4; data += 4 + n, size -= 4 + n) {
		const uint32_t at = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
		unsigned char *piece = pieces[at / PIECE % NUM_PIECES];

		n = data[3] % MAX_CHANGE + 1u;
		if (n > size - 4)
			n = size - 4;
		if (at % PIECE + n <= PIECE)
			memcpy(piece + at % PIECE, data + 4, n);
	}
	err = find(&map);
	if (!err)
		look_at_map(&map);
	gdump_error_destroy(err);
	memory_map_deinit(&map);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_qemu_dump.c - what is taken out of QEMU's own dumps, and what not
 */
#include <elf.h>

#include "fake_monitor.h"
#include "live/qemu_map.h"
#include "util/cursor.h"

static const struct gdump_open_options options = { .timeout_ms = 10000 };

/* A dump with some loads of one page each, one after the other in the file */
struct spec {
	bool big, is64, xnum;
	uint64_t paddrs[3];
	size_t num;
	unsigned int phentsize;
	uint64_t phnum;                 /* as it says; 0: the truth             */
	uint64_t off_add;               /* of the last load                     */
	size_t cut;                     /* bytes at the end that do not come    */
};

enum { PAGE = 4096, NOTES = 40 };

static size_t spec_head(const struct spec *s)
{
	size_t ehdr = s->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	size_t shdr = s->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	size_t phdr = s->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

	return ehdr + shdr + (s->num + 1) * phdr + NOTES;
}

static void put_phdr(struct cursor *c, uint32_t type, uint64_t off, uint64_t paddr, uint64_t size)
{
	put_u32(c, type);
	if (c->is64)
		put_u32(c, 0);
	put_word(c, off);
	put_word(c, 0);
	put_word(c, paddr);
	put_word(c, size);
	put_word(c, size);
	put_word(c, 0);
	if (!c->is64)
		put_u32(c, 0);
}

/* As QEMU does: ELF header, section header, program headers, notes, memory */
static size_t spec_put(const struct spec *s, unsigned char *buf, size_t size)
{
	struct cursor c = cursor_init(buf, size, s->big, s->is64);
	size_t head = spec_head(s), shdr_size, ehdr_size;
	uint64_t phnum = s->phnum ? s->phnum : s->num + 1;

	ehdr_size = s->is64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	shdr_size = s->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	put_bytes(&c, "\177ELF", 4);
	put_u8(&c, s->is64 ? ELFCLASS64 : ELFCLASS32);
	put_u8(&c, s->big ? ELFDATA2MSB : ELFDATA2LSB);
	put_zeros(&c, 10);
	put_u16(&c, ET_CORE);
	put_u16(&c, EM_X86_64);
	put_u32(&c, 1);
	put_word(&c, 0);
	put_word(&c, ehdr_size + shdr_size);
	put_word(&c, ehdr_size);
	put_u32(&c, 0);
	put_u16(&c, 8);
	put_u16(&c, (uint16_t)(s->phentsize ? s->phentsize : s->is64 ? 56 : 32));
	put_u16(&c, s->xnum ? PN_XNUM : (uint16_t)phnum);
	put_zeros(&c, ehdr_size - (size_t)(c.p - buf));
	put_zeros(&c, s->is64 ? 44 : 28);
	put_u32(&c, (uint32_t)phnum);
	put_zeros(&c, ehdr_size + shdr_size - (size_t)(c.p - buf));
	put_phdr(&c, PT_NOTE, head - NOTES, 0, NOTES);
	for (size_t i = 0; i < s->num; i++)
		put_phdr(&c, PT_LOAD, head + i * PAGE + (i + 1 == s->num ? s->off_add : 0),
			 s->paddrs[i], PAGE);
	put_zeros(&c, NOTES);
	for (size_t i = 0; i < s->num; i++)
		memset(cursor_take(&c, PAGE), 'a' + (int)i, PAGE);
	put_bytes(&c, "\0.shstrtab", 11);
	CHECK(!c.bad);
	return (size_t)(c.p - buf) - s->cut;
}

/* Let a fake QEMU dump @s. */
static struct gdump_error *dump(const struct spec *s, struct qemu_head *head)
{
	static unsigned char buf[65536];
	const struct step steps[] = {
		STEP_GREET,
		{ .expect = "\"getfd\"", .reply = OK },
		{ .expect = "\"length\":4096", .to_fd = (const char *)buf,
		  .to_fd_len = spec_put(s, buf, sizeof(buf)), .reply = OK },
	};
	CLEANUP_QMP struct qmp *q = NULL;
	struct gdump_error *err;
	struct fake f;

	fake_listen(&f);
	fake_play(&f, steps, sizeof(steps) / sizeof(*steps));
	CHECK_OK(qmp_open(f.path, &options, &q));
	err = qemu_dump_notes(q, (struct qemu_extent){ 0x1000, PAGE }, head);
	qmp_close(q);
	q = NULL;
	fake_end(&f);
	return err;
}

static void test_good(const struct spec *s)
{
	CLEANUP_HEAD struct qemu_head head = { 0 };

	CHECK_OK(dump(s, &head));
	CHECK_INT(head.pump.fd, -1);
	CHECK_INT(head.size, spec_head(s));
	CHECK_INT(head.num_loads, s->num);
	for (size_t i = 0; i < head.num_loads; i++) {
		CHECK_INT(head.loads[i].paddr, s->paddrs[i]);
		CHECK_INT(head.loads[i].size, PAGE);
	}
	CHECK_INT(head.len, head.size + (s->num ? PAGE : 0));
	if (head.num_loads)
		CHECK_INT(head.buf[head.loads[0].off + 5], 'a');
}

static void test_bad(const struct spec *s, const char *what)
{
	CLEANUP_HEAD struct qemu_head head = { 0 };

	CHECK_ERR(dump(s, &head), GDUMP_ERR_REMOTE, what);
}

static void test_dumps(void)
{
	const struct spec good = {
		.is64 = true, .paddrs = { 0x1000, 0x5000, 1ull << 40 }, .num = 3,
	};
	struct spec s;

	test_good(&good);
	for (int i = 0; i < 8; i++)
		test_good(&(struct spec){ .big = i & 1, .is64 = i & 2, .xnum = i & 4,
					  .paddrs = { 0x1000, 0x5000 }, .num = 2 });
	test_good(&(struct spec){ .is64 = true });

	s = good;
	s.phentsize = 57;
	test_bad(&s, "program headers of an unknown size");
	s = good;
	s.xnum = true;
	s.phnum = 0xffffffff;
	test_bad(&s, "program headers without end");
	s = good;
	s.paddrs[1] = 0x1800;
	test_bad(&s, "memory out of order");
	s = good;
	s.off_add = (uint64_t)-PAGE;
	test_bad(&s, "memory out of order");
	s = good;
	s.paddrs[2] = (uint64_t)-1;
	test_bad(&s, "memory out of order");
	s = good;
	s.cut = 3 * PAGE + 20;
	test_bad(&s, "ends within its headers");
}

static void test_clip(void)
{
	struct qemu_load loads[] = { { 0x10000, 0x2000, 0 }, { 0x14000, 0x10000, 0 } };
	struct qemu_head head = { .loads = loads, .num_loads = 2 };
	struct qemu_map map = {
		.memory = { .slots = calloc(2, sizeof(struct mem_slot)), .num_slots = 2 },
	};
	struct memory_map *l = &map.memory;

	l->slots[0] = (struct mem_slot){ 0, 0x11000, 0x700000, GDUMP_RANGE_RAM };
	l->slots[1] = (struct mem_slot){ 0x11000, 0xf000, 0x900000, GDUMP_RANGE_DEVICE };
	/* in [0x10000, 0x18000) only what the loads say */
	CHECK_OK(qemu_map_clip(&map, (struct qemu_extent){ 0x10000, 0x8000 }, &head));
	CHECK_INT(l->num_slots, 5);
	CHECK_INT(l->slots[0].size, 0x10000);
	CHECK_INT(l->slots[1].paddr, 0x10000);
	CHECK_INT(l->slots[1].size, 0x1000);
	CHECK_INT(l->slots[1].hva, 0x710000);
	CHECK_INT(l->slots[2].paddr, 0x11000);
	CHECK_INT(l->slots[2].size, 0x1000);
	CHECK_INT(l->slots[2].kind, GDUMP_RANGE_DEVICE);
	CHECK_INT(l->slots[3].paddr, 0x14000);
	CHECK_INT(l->slots[3].size, 0x4000);
	CHECK_INT(l->slots[3].hva, 0x903000);
	CHECK_INT(l->slots[4].paddr, 0x18000);
	CHECK_INT(l->slots[4].size, 0x8000);
	CHECK_INT(memory_map_find(l, 0), 0);
	CHECK_INT(memory_map_find(l, 0x11fff), 2);
	CHECK_INT(memory_map_find(l, 0x12000), 3);
	CHECK_INT(memory_map_find(l, 0x20000), 5);
	/* everywhere */
	CHECK_OK(qemu_map_clip(&map, (struct qemu_extent){ 0 }, &head));
	CHECK_INT(l->num_slots, 4);
	head.num_loads = 0;
	CHECK_OK(qemu_map_clip(&map, (struct qemu_extent){ 0 }, &head));
	CHECK_INT(l->num_slots, 0);
	qemu_map_deinit(&map);
}

int main(void)
{
	test_dumps();
	test_clip();
	return check_done();
}

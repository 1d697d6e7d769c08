/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * moment.c - inside of a guest: memory that tells whether a dump is of one moment
 *
 *     moment PAGES [PAGES THAT STAY]
 *
 * All of PAGES pages get the same number, one after the other, then the next
 * number, as fast as it goes and for ever.  So at each moment pages [0, n) have one
 * number and the others the one before it.  tests/tools/moment.py looks for that, and
 * that the pages that stay are there, each filled with a word of its own.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

struct copy {
	char magic[32];
	uint64_t index, num, value;
};

/* @name: spelled out in these pages only, not in the program's own file */
static void put_magic(struct copy *copy, const char name[32])
{
	for (size_t k = 0; k < sizeof(copy->magic); k++)
		copy->magic[k] = (char)(name[k] - (name[k] >= 'A'));
}

static unsigned char *get_memory(size_t num)
{
	unsigned char *memory = mmap(NULL, num * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* what is moved into a huge page leaves a copy behind */
	if (memory == MAP_FAILED || madvise(memory, num * PAGE, MADV_NOHUGEPAGE))
		exit(1);
	return memory;
}

static unsigned char *make_copies(size_t num)
{
	unsigned char *memory = get_memory(num);

	for (size_t i = 0; i < num; i++) {
		struct copy *copy = (struct copy *)(void *)(memory + i * PAGE);

		put_magic(copy, "UFTUEVNQ.NPNFOU.DPQZ.PG.B.DPVOU");
		copy->index = i;
		copy->num = num;
		copy->value = 1;
	}
	return memory;
}

static void make_filled(size_t num)
{
	unsigned char *memory = get_memory(num);

	for (size_t i = 0; i < num; i++) {
		struct copy *copy = (struct copy *)(void *)(memory + i * PAGE);
		uint64_t *word = &copy->value, *end = (void *)(memory + (i + 1) * PAGE);

		put_magic(copy, "UFTUEVNQ.QBHF.UIBU.JT.GJMMFE.PL");
		copy->index = i;
		copy->num = num;
		while (word < end)
			*word++ = (i + 1) * 0x9e3779b97f4a7c15;
	}
}

int main(int argc, char **argv)
{
	const size_t num = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
	const size_t num_filled = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned char *memory;
	int ready[2];
	char byte = 0;

	if (!num || pipe(ready))
		return 1;
	/* whoever started us goes on as soon as the copies are there */
	if (fork()) {
		close(ready[1]);
		return read(ready[0], &byte, 1) != 1;
	}
	setsid();
	memory = make_copies(num);
	if (num_filled)
		make_filled(num_filled);
	if (write(ready[1], &byte, 1) != 1)
		return 1;
	for (uint64_t value = 2;; value++) {
		for (size_t i = 0; i < num; i++) {
			volatile struct copy *copy = (void *)(memory + i * PAGE);

			copy->value = value;
		}
	}
}

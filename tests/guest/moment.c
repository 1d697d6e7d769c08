/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * moment.c - inside of a guest: memory that tells whether a dump is of one moment
 *
 *     moment PAGES
 *
 * All of PAGES pages get the same number, one after the other, then the next
 * number, as fast as it goes and for ever.  So at each moment pages [0, n) have one
 * number and the others the one before it.  tests/tools/moment.py looks for that.
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

static unsigned char *make_copies(size_t num)
{
	/* spelled out in these pages only, not in the program's own file */
	static const char magic[32] = "UFTUEVNQ.NPNFOU.DPQZ.PG.B.DPVOU";
	unsigned char *memory = mmap(NULL, num * PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* what is moved into a huge page leaves a copy behind */
	if (memory == MAP_FAILED || madvise(memory, num * PAGE, MADV_NOHUGEPAGE))
		exit(1);
	for (size_t i = 0; i < num; i++) {
		struct copy *copy = (struct copy *)(void *)(memory + i * PAGE);

		for (size_t k = 0; k < sizeof(magic); k++)
			copy->magic[k] = (char)(magic[k] - (magic[k] >= 'A'));
		copy->index = i;
		copy->num = num;
		copy->value = 1;
	}
	return memory;
}

int main(int argc, char **argv)
{
	const size_t num = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
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
	if (write(ready[1], &byte, 1) != 1)
		return 1;
	for (uint64_t value = 2;; value++) {
		for (size_t i = 0; i < num; i++) {
			volatile struct copy *copy = (void *)(memory + i * PAGE);

			copy->value = value;
		}
	}
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * fill.c - inside of the benchmark's guest: fill memory with something and keep it
 *
 *     fill heap|text|random|zero|dirty MEGABYTES [free]
 *
 * heap      small objects with pointers to each other, numbers and strings
 * text      words, some frequent and most rare
 * random    what no codec can make smaller
 * zero      pages that are there and zero
 * dirty     text that changes for ever: a word of each page, as fast as it goes; the
 *           first page tells bench/live how it goes on, see struct beat
 *
 * The bytes are the same each time.  With "free" the program ends at once and
 * leaves what it wrote in pages that nobody has.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { NUM_WORDS = 4096, WORD_SIZE = 12 };

struct object {
	struct object *next, *parent;
	uint64_t refs, type;
	int64_t number;
	uint32_t size, hash;
	char text[];
};

enum { PAGE = 4096, NUM_GAPS = 200, GAP_NS = 500000 };

/* What is read from outside, by looking for the magic words */
struct beat {
	char magic[32];
	volatile uint64_t beats;        /* pages written to                     */
	volatile uint64_t num_gaps;     /* times that nothing went on for GAP_NS */
	volatile uint64_t gap_ns[NUM_GAPS];     /* a ring; by the guest's clock */
};

static uint64_t seed = 0x9e3779b97f4a7c15u;
static char words[NUM_WORDS][WORD_SIZE];

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void make_words(void)
{
	for (int i = 0; i < NUM_WORDS; i++) {
		size_t len = 2 + next_random() % (WORD_SIZE - 3);

		for (size_t k = 0; k < len; k++)
			words[i][k] = "etaoinshrdlucmfwypvbgkqjxz"[next_random() % 26 * (next_random() % 26) / 26];
	}
}

/* The low numbers are the frequent ones. */
static const char *random_word(void)
{
	uint64_t r = next_random();

	return words[(r % NUM_WORDS) * ((r >> 20) % NUM_WORDS) / NUM_WORDS *
		     ((r >> 40) % NUM_WORDS) / NUM_WORDS];
}

static void fill_text(char *p, size_t size)
{
	size_t used = 0, column = 0;

	while (used + WORD_SIZE < size) {
		size_t len = strlen(strcpy(p + used, random_word()));

		used += len;
		column += len + 1;
		p[used++] = column > 70 ? '\n' : ' ';
		if (column > 70)
			column = 0;
	}
}

/* Objects of one page point to others near and far, as those of an interpreter do. */
static void fill_heap(char *p, size_t size)
{
	char *at = p;

	while (at + 256 < p + size) {
		struct object *o = (struct object *)at;
		uint64_t r = next_random();
		const char *word = random_word();

		o->size = (uint32_t)(sizeof(*o) + r % 5 * 16);
		o->next = (struct object *)(at + o->size);
		o->parent = (struct object *)(p + (r >> 8) % (size_t)(at - p + 1) / 16 * 16);
		o->refs = 1 + ((r >> 40) % 8 == 0) * ((r >> 44) % 30);
		o->type = 0x5555555a1000u + ((r >> 50) % 16) * 0x1a0;
		o->number = (r >> 56) % 4 ? (int64_t)((r >> 32) % 1000) : -1;
		o->hash = (uint32_t)(r >> 16) * 2654435761u;
		if (o->size > sizeof(*o))
			memcpy(o->text, word, strlen(word));
		at += o->size;
	}
}

static void fill_random(char *p, size_t size)
{
	uint64_t *word = (uint64_t *)(void *)p;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		word[i] = next_random();
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void make_dirty(char *p, size_t size)
{
	/* spelled out in that page only, not in the program's own file */
	static const char magic[32] = "HVFTUEVNQ.CFODI.B.IFBSU.UIBU.CF";
	struct beat *b = (struct beat *)(void *)p;
	uint64_t last = now_ns();

	memset(p, 0, PAGE);
	for (size_t k = 0; k < sizeof(magic); k++)
		b->magic[k] = (char)(magic[k] - (magic[k] >= 'A'));
	for (;;) {
		for (size_t at = PAGE; at < size; at += PAGE) {
			uint64_t now;

			++*(volatile uint64_t *)(void *)(p + at);
			b->beats++;
			now = now_ns();
			if (now - last > GAP_NS)
				b->gap_ns[b->num_gaps++ % NUM_GAPS] = now - last;
			last = now;
		}
	}
}

int main(int argc, char **argv)
{
	size_t size = argc > 2 ? strtoul(argv[2], NULL, 10) << 20 : 0;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	make_words();
	if (!strcmp(argv[1], "heap"))
		fill_heap(p, size);
	else if (!strcmp(argv[1], "text") || !strcmp(argv[1], "dirty"))
		fill_text(p, size);
	else if (!strcmp(argv[1], "random"))
		fill_random(p, size);
	else if (!strcmp(argv[1], "zero"))
		memset(p, 0, size);
	else
		return 1;
	if (argc > 3)
		return 0;
	/* whoever started us may go on */
	if (fork())
		_exit(0);
	setsid();
	if (!strcmp(argv[1], "dirty"))
		make_dirty(p, size);
	for (;;)
		pause();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * main.c - the targets in one program for libFuzzer
 *
 * $FUZZ_TARGET names the one to run; tests/fuzz/run sets it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#include "../unit/random.h"
#include "util/bits.h"

static const struct target {
	const char *name;
	fuzz_fn *run;
	bool is_text;           /* numbers in it are not binary                 */
	void (*prepare)(void);  /* before the first input is timed; or NULL     */
} targets[] = {
	{ "dump", fuzz_dump, false, NULL },
	{ "protected", fuzz_protected, false, NULL },
	{ "kernel", fuzz_kernel, false, NULL },
	{ "monitor", fuzz_monitor, true, NULL },
	{ "mtree", fuzz_mtree, true, NULL },
	{ "host", fuzz_host, true, NULL },
	{ "stream", fuzz_stream, false, NULL },
	{ "silent", fuzz_silent, false, fuzz_silent_prepare },
	{ "pagedeflate", fuzz_pagedeflate, false, NULL },
	{ "watch", fuzz_watch, true, NULL },
	{ "layout", fuzz_layout, false, fuzz_layout_prepare },
};

static const struct target *target;

void fuzz_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "fuzz: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	abort();
}

void fuzz_look(const void *p, size_t len)
{
	const unsigned char *bytes = p;
	unsigned char s = 0;

	for (size_t i = 0; i < len; i++)
		s ^= bytes[i];
	__asm__ volatile("" : : "r"(s));
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *name = getenv("FUZZ_TARGET");

	(void)argc, (void)argv;
	for (size_t i = 0; name && i < ARRAY_SIZE(targets); i++) {
		if (!strcmp(name, targets[i].name))
			target = &targets[i];
	}
	if (!target) {
		fprintf(stderr, "fuzz: FUZZ_TARGET has to be one of:");
		for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
			fprintf(stderr, " %s", targets[i].name);
		fprintf(stderr, "\n");
		exit(2);
	}
	signal(SIGPIPE, SIG_IGN);
	if (target->prepare)
		target->prepare();
	return 0;
}

/* Descriptors are given out from the lowest free one on. */
static int next_descriptor(void)
{
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool is_warm;    /* a target keeps some from its first run on    */
	const int before = next_descriptor();

	target->run(data, size);
	if (is_warm && next_descriptor() != before)
		fuzz_die("descriptor %d was left open", before);
	is_warm = true;
	return 0;
}

/* What sizes, offsets and counts are tempted by */
static uint64_t odd_number(uint64_t *seed, uint64_t old, size_t size)
{
	const uint64_t bit = (uint64_t)1 << random_below(seed, 64);
	const uint64_t near = random_below(seed, 9) - 4;

	switch (random_below(seed, 8)) {
	case 0: return near;
	case 1: return old + near;
	case 2: return old ^ bit;
	case 3: return bit + near;
	case 4: return size + near;
	case 5: return random_below(seed, size + 1) & ~(uint64_t)7;
	case 6: return old + (random_below(seed, 33) - 16) * 4096;
	default: return old << 1;
	}
}

/* Change a number of 1 to 8 bytes in either byte order, as a rule in the headers. */
static void change_number(uint8_t *data, size_t size, uint64_t *seed)
{
	const size_t width = (size_t)1 << random_below(seed, 4);
	const size_t area = random_below(seed, 4) ? MIN(size, 8192) : size;
	const bool big = random_below(seed, 4) == 0;
	uint64_t value = 0, off;
	uint8_t *p;

	if (size < width)
		return;
	off = random_below(seed, area) & ~(width - 1);
	p = data + MIN(off, size - width);
	for (size_t i = 0; i < width; i++)
		value |= (uint64_t)p[big ? width - 1 - i : i] << 8 * i;
	value = odd_number(seed, value, size);
	for (size_t i = 0; i < width; i++)
		p[big ? width - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	uint64_t state = seed;

	if (target->is_text || !size || random_below(&state, 3) == 0)
		return LLVMFuzzerMutate(data, size, max);
	for (uint64_t n = 1 + random_below(&state, 3); n; n--)
		change_number(data, size, &state);
	return size;
}

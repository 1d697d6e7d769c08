/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_early_log.c - what memory says of a system without VMCOREINFO, and its log
 */
#include <stdio.h>
#include <string.h>

#include "fake_kernel.h"
#include "kernel/early_log.h"
#include "kernel/identify.h"

#define BANNER "Linux version 6.1.0-7 (who@where) (gcc 12) #1 SMP Debian 6.1.7 (2026-11-26)"

enum { MEMORY = 1 << 20, IMAGE = 0x12340, LOG = 0x41000, INFOS = 0x7ff00 };

static const char *const texts[] = { BANNER, "Command line: quiet", "", "a", "the last one" };
enum { NUM = 5 };

static struct fake *create(void)
{
	struct fake *f = fake_create_bare(EM_X86_64, MEMORY);

	CHECK_OK(image_seal(&f->source.image));
	return f;
}

/* A ring as a 64-bit or 32-bit kernel makes it: an empty text has no place in it. */
static void put_log(struct fake *f, size_t word, size_t info_size)
{
	size_t at = LOG;

	memcpy(f->memory + IMAGE, BANNER, strlen(BANNER));
	memcpy(f->memory + IMAGE - 0x1000, BANNER, strlen(BANNER));
	*strchr((char *)f->memory + IMAGE - 0x1000, '#') = '*';
	for (size_t i = 0; i < NUM; i++) {
		const size_t len = strlen(texts[i]), info = INFOS + i * info_size;

		if (len) {
			put(f, at, 0xfffe0000 + i, (unsigned int)word);
			memcpy(f->memory + at + word, texts[i], len);
			/* as it remains where a level was removed */
			if (info_size)
				memcpy(f->memory + at + word + len, "g)\n", 3);
			at += (word + len + 3 + word - 1) / word * word;
		}
		if (!info_size)
			continue;
		put(f, info, i, 8);
		put(f, info + 8, i * 1000, 8);
		put(f, info + 16, len, 2);
		f->memory[info + 19] = (unsigned char)((i + 1) << 5);
	}
}

static char heard[1024];

static void hear(void *arg, const struct gdump_log_record *r)
{
	const size_t len = strlen(heard);

	snprintf(heard + len, sizeof(heard) - len, "%u:%u:%u:%.*s\n", (unsigned int)r->seq,
		 (unsigned int)r->time_ns, r->level, (int)r->len, r->text);
	++*(unsigned int *)arg;
}

static void test_log(size_t word, size_t info_size)
{
	struct gdump_system found = { .size = sizeof(found) };
	struct fake *f = create();
	unsigned int num = 0;

	put_log(f, word, info_size);
	heard[0] = '\0';
	CHECK_OK(early_log_read(&f->source, &found, hear, &num));
	CHECK_INT(num, NUM - 1);
	CHECK_STR(heard, info_size ?
		  "0:0:1:" BANNER "\n1:1000:2:Command line: quiet\n3:3000:4:a\n4:4000:5:the last one\n" :
		  "0:0:6:" BANNER "\n1:0:6:Command line: quiet\n3:0:6:a\n4:0:6:the last one\n");
	source_close(&f->source);
}

static void test_none(void)
{
	struct fake *f = create();
	struct gdump_system found = { .size = sizeof(found) };
	unsigned int num = 0;

	/* many texts that are no records */
	for (size_t at = 0; at + 200 < MEMORY; at += 200)
		memcpy(f->memory + at, BANNER, strlen(BANNER));
	CHECK_ERR(early_log_read(&f->source, &found, hear, &num), GDUMP_ERR_UNSUPPORTED, "has not found");
	CHECK_INT(num, 0);
	CHECK_STR(found.name, "Linux");
	CHECK_STR(found.release, "6.1.0-7");
	CHECK_STR(found.version, "#1 SMP Debian 6.1.7 (2026-11-26)");
	source_close(&f->source);
}

/* Without a banner, memory is read once, but for what pieces share. */
static void test_nothing(void)
{
	struct fake *f = create();
	struct gdump_system found = { .size = sizeof(found) };
	unsigned int num = 0;

	memcpy(f->memory + 0xf0000, "SeaBIOS (version 1.16)", 22);
	CHECK_ERR(early_log_read(&f->source, &found, hear, &num), GDUMP_ERR_UNSUPPORTED, "has not found");
	CHECK_STR(found.name, "the firmware SeaBIOS");
	CHECK(f->num_read < MEMORY + MEMORY / 8);
	source_close(&f->source);
}

static void check_is(const char *text, const char *name, uint64_t at)
{
	struct fake *f = create();
	struct gdump_system found = { .size = sizeof(found) };

	memcpy(f->memory + 0xf0000, "SeaBIOS (version 1.16)", 22);
	memcpy(f->memory + at, text, strlen(text));
	CHECK_OK(identify_system(&f->source, &found));
	CHECK_STR(found.name, name);
	CHECK(!found.release[0]);
	source_close(&f->source);
}

static void test_systems(void)
{
	check_is("", "the firmware SeaBIOS", 0);
	check_is("GNU GRUB  version %s", "the boot loader GRUB", 0x5000);
	check_is("Memtest86+ v7.00", "the memory test Memtest86+", 0x3fffa);
	check_is("Linux version six (of) #1", "the firmware SeaBIOS", 0x5000);
	check_is("OpenBSD is not this", "the firmware SeaBIOS", 0x5000);
	check_is("@(#)FreeBSD 14.1", "FreeBSD", MEMORY - 16);
}

static void test_mutations(void)
{
	uint64_t seed = 7;

	for (unsigned int i = 0; i < 100; i++) {
		struct fake *f = create();
		struct gdump_system found = { .size = sizeof(found) };
		unsigned int num = 0;

		put_log(f, i % 2 ? 8 : 4, 88);
		heard[0] = '\0';
		fake_mutate(f, &seed, LOG, LOG + 256, false);
		fake_mutate(f, &seed, INFOS, INFOS + 512, false);
		gdump_error_destroy(early_log_read(&f->source, &found, hear, &num));
		gdump_error_destroy(identify_system(&f->source, &found));
		source_close(&f->source);
	}
}

int main(void)
{
	test_log(8, 88);
	test_log(8, 112);
	test_log(4, 88);
	test_log(8, 0);
	test_none();
	test_nothing();
	test_systems();
	test_mutations();
	return check_done();
}

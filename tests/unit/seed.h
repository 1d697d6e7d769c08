/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * seed.h - what unit tests make is what fuzzing begins with
 *
 * With $GUESTDUMP_SEEDS, a directory, the first ones of a test get a copy there,
 * KIND/HASH.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SEED_SIZE = 128 << 10, SEEDS_MAX = 40 };

static inline bool seed_wanted(void)
{
	return getenv("GUESTDUMP_SEEDS");
}

static inline void seed_keep(const char *kind, const void *p, size_t len)
{
	const char *dir = getenv("GUESTDUMP_SEEDS");
	uint64_t hash = 0xcbf29ce484222325;     /* FNV-1a */
	char path[256];
	static int num;
	FILE *f;

	if (!dir || len > SEED_SIZE || num++ >= SEEDS_MAX)
		return;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)p)[i]) * 0x100000001b3;
	snprintf(path, sizeof(path), "%s/%s", dir, kind);
	mkdir(path, 0777);
	snprintf(path, sizeof(path), "%s/%s/%016llx", dir, kind, (unsigned long long)hash);
	f = fopen(path, "wb");
	if (f) {
		fwrite(p, 1, len, f);
		fclose(f);
	}
}

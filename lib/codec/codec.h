/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * codec.h - ways to compress one page
 *
 * A codec whose library is missing keeps its row in CODECS, with NULL functions, so that
 * messages can name it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct codec {
	const char *name;
	const char *library;            /* with version; NULL: not in this build */
	uint32_t kdump_flag;            /* names it in kdump's page descriptors: a bit that
					 * kdump.h does not use; 0: not compressed */
	int min_level, max_level, default_level;
	int live_level;                 /* default for --live, where a slow codec stalls
					 * the guest                            */
	const char *level_note;         /* ends the message about a wrong level; NULL: none */
	/* A compressor is one thread's own.  NULL: out of memory. */
	void *(*compress_open)(int level, size_t page_size);
	/* Bytes written to @dst, at most @cap; 0: did not fit.  @len is @page_size. */
	size_t (*compress)(void *state, void *dst, size_t cap, const void *src, size_t len);
	void (*compress_close)(void *state);
	/* A decompressor is one thread's own. */
	void *(*decompress_open)(void);
	/* Whether @src decompressed to exactly @len bytes. */
	bool (*decompress)(void *state, void *dst, size_t len, const void *src, size_t src_len);
	void (*decompress_close)(void *state);
};

#define CODECS(X) \
	X(none)   \
	X(zlib)   \
	X(lzo)    \
	X(snappy) \
	X(zstd)

#define X(name) extern const struct codec codec_##name;
CODECS(X)
#undef X

#define X(name) + 1
enum { NUM_CODECS = 0 CODECS(X) };
#undef X

/* The i-th one, or NULL past the end. */
const struct codec *codec_at(size_t i);
const struct codec *codec_find(const char *name);
const struct codec *codec_by_kdump_flag(uint32_t flag);
/* The kdump_flag of all of them */
uint32_t codec_kdump_flags(void);

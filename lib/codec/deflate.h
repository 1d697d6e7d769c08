/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * deflate.h - pack one page with deflate, as zlib frames it
 */
#pragma once

#include <stddef.h>

/* The longest page */
enum { DEFLATE_MAX = 65536 };

struct deflate;

/* For pages of up to @max_len bytes, at most DEFLATE_MAX; NULL: out of memory. */
struct deflate *deflate_open(size_t max_len);
/* Bytes of the zlib stream written to @dst, at most @cap; 0: did not fit. */
size_t deflate_pack(struct deflate *d, void *dst, size_t cap, const void *src, size_t len);
void deflate_close(struct deflate *d);

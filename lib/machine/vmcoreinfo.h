/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vmcoreinfo.h - the text that a Linux kernel tells dump tools about itself
 *
 * Lines KEY=value.  How a number is written depends on the key, see
 * Documentation/admin-guide/kdump/vmcoreinfo.rst of Linux.
 */
#pragma once

#include "image.h"

/* The value of @key, or NULL; @len bytes, not terminated. */
const char *vmcoreinfo_get(const struct image *image, const char *key, size_t *len);
/* Copied and cut to fit @buf; false: no such key. */
bool vmcoreinfo_string(const struct image *image, const char *key, char *buf, size_t size);
/* NUMBER(key), signed decimal or 0x hexadecimal. */
bool vmcoreinfo_number(const struct image *image, const char *key, uint64_t *ret);
/* SYMBOL(key), hexadecimal. */
bool vmcoreinfo_symbol(const struct image *image, const char *key, uint64_t *ret);
/* OFFSET(key), SIZE(key) and the like: @key is all in front of the '='. */
bool vmcoreinfo_decimal(const struct image *image, const char *key, uint64_t *ret);
/* KERNELOFFSET and the like, hexadecimal without 0x */
bool vmcoreinfo_hex(const struct image *image, const char *key, uint64_t *ret);

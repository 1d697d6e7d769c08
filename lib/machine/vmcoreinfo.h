/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * vmcoreinfo.h - the text by which a Linux kernel describes itself to dump tools
 *
 * It consists of lines KEY=value.  How a number is written depends on the key; see Linux's
 * Documentation/admin-guide/kdump/vmcoreinfo.rst.  All functions return NULL or false, and
 * store nothing, if the key is missing or its value is not valid.
 */
#pragma once

#include "image.h"

/* The value of @key: @len bytes inside the image, without a NUL. */
const char *vmcoreinfo_get(const struct image *image, const char *key, size_t *len);
/* Copy the value to @buf, truncated to @size with its NUL. */
bool vmcoreinfo_string(const struct image *image, const char *key, char *buf, size_t size);
/* NUMBER(key): signed decimal, or hexadecimal with 0x */
bool vmcoreinfo_number(const struct image *image, const char *key, uint64_t *ret);
/* SYMBOL(key): hexadecimal */
bool vmcoreinfo_symbol(const struct image *image, const char *key, uint64_t *ret);
/* OFFSET(key), SIZE(key) and so on: decimal; @key is everything before the '=' */
bool vmcoreinfo_decimal(const struct image *image, const char *key, uint64_t *ret);
/* KERNELOFFSET and so on: hexadecimal without 0x; @key is everything before the '=' */
bool vmcoreinfo_hex(const struct image *image, const char *key, uint64_t *ret);

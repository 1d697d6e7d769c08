/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * md5.h - MD5, which object stores use as a checksum; it protects against accidents only
 */
#pragma once

#include <stddef.h>

enum { MD5_SIZE = 16 };

/* The digest of the @len bytes at @buf */
void md5(const void *buf, size_t len, unsigned char ret[MD5_SIZE]);

struct md5_hex { char text[2 * MD5_SIZE + 1]; };
/* In lower-case hexadecimal digits, as in an ETag */
struct md5_hex md5_to_hex(const unsigned char digest[MD5_SIZE]);

struct md5_base64 { char text[25]; };
/* As in Content-MD5 */
struct md5_base64 md5_to_base64(const unsigned char digest[MD5_SIZE]);

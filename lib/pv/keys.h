/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * keys.h - from the customer communication key to the keys of one dump
 *
 * The completion data of a dump contain the key of the guest's pages, encrypted with a key
 * that is derived from the customer communication key and a seed.
 *
 * Completion data, version 1, big-endian:
 *
 *       0   4  version
 *       4   4  length of all of it: 288
 *       8   8  reserved
 *      16  64  seed
 *      80  12  IV
 *      92   4  reserved
 *      96 176  encrypted: 16 nonce of the tweaks, 64 key of AES-XTS, reserved
 *     272  16  tag; bytes 0 to 95 are authenticated as well
 *
 * Dump key: HKDF-SHA-512 of the customer communication key, salt the seed, info
 * "IBM Z Ultravisor Dump".  It also decrypts the areas of the CPUs.
 *
 * Facts: s390-tools' zdump/ and libpv/.
 */
#pragma once

#include "crypto.h"

enum { PV_COMPLETION_SIZE = 288, PV_CCK_SIZE = 32 };

struct pv_keys {
	unsigned char dump[CRYPTO_KEY];
	unsigned char nonce[CRYPTO_TWEAK];
	unsigned char xts[CRYPTO_XTS_KEY];
};

/* Check the unencrypted fields of completion data, of which the first @len bytes are given. */
MUST_CHECK struct gdump_error *pv_completion_check(const unsigned char *completion, size_t len);
/* Read the customer communication key from file @path and decrypt the completion data.
 * GDUMP_ERR_NOKEY: it is not the key of this dump, or the data are damaged; these cannot be
 * distinguished.
 */
MUST_CHECK struct gdump_error *pv_keys_create(struct crypto *c, const char *path,
					      const unsigned char *completion,
					      struct pv_keys **ret);
void pv_keys_destroy(struct pv_keys *keys);

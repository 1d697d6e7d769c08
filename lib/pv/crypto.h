/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crypto.h - the cryptography that protected dumps need, by OpenSSL
 *
 * crypto.c is the only file that uses OpenSSL.  It works in a library context of its own: no
 * configuration file and no environment is read, and closing it frees everything.  In a
 * build without OpenSSL crypto_open() fails, and no other function is called.
 *
 * A struct crypto may be used by many threads at once, a struct xts by one at a time.
 */
#pragma once

#include "../error.h"

enum { CRYPTO_KEY = 32, CRYPTO_XTS_KEY = 64, CRYPTO_IV = 12, CRYPTO_TAG = 16, CRYPTO_TWEAK = 16 };

struct crypto;
MUST_CHECK struct gdump_error *crypto_open(struct crypto **ret);
void crypto_close(struct crypto *c);

/* Derive a key of CRYPTO_KEY bytes from another by HKDF (RFC 5869) with SHA-512. */
struct hkdf {
	const unsigned char *key, *salt;
	size_t salt_len;
	const char *info;
};
MUST_CHECK struct gdump_error *crypto_hkdf(struct crypto *c, const struct hkdf *in,
					   unsigned char *ret);

/* Data encrypted with AES-256-GCM */
struct gcm_box {
	const unsigned char *iv, *tag;
	const unsigned char *aad, *data;
	size_t aad_len, len;
};
/* Decrypt @box to @plain, of box->len bytes.  @good: the tag is right; if it is not, @plain is
 * zero.
 */
MUST_CHECK struct gdump_error *crypto_gcm(struct crypto *c, const unsigned char *key,
					  const struct gcm_box *box, unsigned char *plain,
					  bool *good);

/* AES-256-XTS; the key is the data key followed by the tweak key */
struct xts;
MUST_CHECK struct gdump_error *xts_create(struct crypto *c, const unsigned char *key,
					  struct xts **ret);
/* Decrypt the first @len bytes, a multiple of 16, of a data unit in place. */
MUST_CHECK struct gdump_error *xts_decrypt(struct xts *x, const unsigned char *tweak,
					   unsigned char *buf, size_t len);
void xts_destroy(struct xts *x);

/* Allocate zeroed memory for keys.  It is locked if limits allow that, excluded from core
 * files and from children, and wiped when it is freed.  NULL: there is no memory.
 */
void *secret_alloc(size_t size);
void secret_free(void *p, size_t size);

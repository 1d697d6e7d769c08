/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * crypto.h - the little cryptography that protected dumps need, by OpenSSL
 *
 * The only file that knows OpenSSL.  It works in a library context of its own: no
 * configuration file and no environment is read, nothing is left when it is closed.
 * In a build without OpenSSL crypto_open() fails, and nothing else is ever called.
 *
 * A struct crypto may be used by many threads at once, a struct xts by one at a time.
 */
#pragma once

#include "../error.h"

enum { CRYPTO_KEY = 32, CRYPTO_XTS_KEY = 64, CRYPTO_IV = 12, CRYPTO_TAG = 16, CRYPTO_TWEAK = 16 };

struct crypto;
MUST_CHECK struct gdump_error *crypto_open(struct crypto **ret);
void crypto_close(struct crypto *c);

/* HKDF (RFC 5869) with SHA-512 from a key of CRYPTO_KEY bytes to another. */
struct hkdf {
	const unsigned char *key, *salt;
	size_t salt_len;
	const char *info;
};
MUST_CHECK struct gdump_error *crypto_hkdf(struct crypto *c, const struct hkdf *in,
					   unsigned char *ret);

/* What AES-256-GCM has sealed */
struct gcm_box {
	const unsigned char *iv, *tag;
	const unsigned char *aad, *data;
	size_t aad_len, len;
};
/* Open it to @plain, of box->len bytes; @good: the tag is right.  If it is not, @plain is
 * zero.
 */
MUST_CHECK struct gdump_error *crypto_gcm(struct crypto *c, const unsigned char *key,
					  const struct gcm_box *box, unsigned char *plain,
					  bool *good);

/* AES-256-XTS with the data key and the tweak key behind each other */
struct xts;
MUST_CHECK struct gdump_error *xts_create(struct crypto *c, const unsigned char *key,
					  struct xts **ret);
/* Decrypt the first @len bytes, a multiple of 16, of a data unit in their place. */
MUST_CHECK struct gdump_error *xts_decrypt(struct xts *x, const unsigned char *tweak,
					   unsigned char *buf, size_t len);
void xts_destroy(struct xts *x);

/* Memory for keys, all zero: it is not swapped out where that is allowed, not in core
 * files, not in children, and is wiped when it is freed.  NULL: there is none.
 */
void *secret_alloc(size_t size);
void secret_free(void *p, size_t size);

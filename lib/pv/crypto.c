/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "crypto.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

void *secret_alloc(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	/* best effort: a limit on locked memory is no reason to fail */
	(void)mlock(p, size);
	(void)madvise(p, size, MADV_DONTDUMP);
	(void)madvise(p, size, MADV_WIPEONFORK);
	return p;
}

void secret_free(void *p, size_t size)
{
	if (!p)
		return;
	explicit_bzero(p, size);
	munmap(p, size);
}

#ifdef HAVE_OPENSSL

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

struct crypto {
	OSSL_LIB_CTX *lib;
	EVP_CIPHER *gcm, *xts;
	EVP_KDF *hkdf;
};

struct xts {
	EVP_CIPHER_CTX *ctx;
};

/* Does not reveal data: OpenSSL's reasons are fixed texts. */
static struct gdump_error *crypto_failed(const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return error_new(GDUMP_ERR_UNSUPPORTED, "OpenSSL: %s: %s", what,
			 reason ? reason : "unknown reason");
}

struct gdump_error *crypto_open(struct crypto **ret)
{
	struct crypto *c = calloc(1, sizeof(*c));

	if (!c)
		return error_nomem();
	c->lib = OSSL_LIB_CTX_new();
	if (c->lib) {
		c->gcm = EVP_CIPHER_fetch(c->lib, "AES-256-GCM", NULL);
		c->xts = EVP_CIPHER_fetch(c->lib, "AES-256-XTS", NULL);
		c->hkdf = EVP_KDF_fetch(c->lib, OSSL_KDF_NAME_HKDF, NULL);
	}
	if (!c->gcm || !c->xts || !c->hkdf) {
		crypto_close(c);
		return crypto_failed("AES-256-GCM, AES-256-XTS and HKDF are needed");
	}
	*ret = c;
	return NULL;
}

void crypto_close(struct crypto *c)
{
	if (!c)
		return;
	EVP_CIPHER_free(c->gcm);
	EVP_CIPHER_free(c->xts);
	EVP_KDF_free(c->hkdf);
	OSSL_LIB_CTX_free(c->lib);
	free(c);
}

static void *crypto_unconst(const void *p)
{
	return (void *)(uintptr_t)p;
}

struct gdump_error *crypto_hkdf(struct crypto *c, const struct hkdf *in, unsigned char *ret)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, crypto_unconst("SHA512"),
						 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, crypto_unconst(in->key),
						  CRYPTO_KEY),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, crypto_unconst(in->salt),
						  in->salt_len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, crypto_unconst(in->info),
						  strlen(in->info)),
		OSSL_PARAM_construct_end(),
	};
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(c->hkdf);
	const bool good = ctx && EVP_KDF_derive(ctx, ret, CRYPTO_KEY, params) > 0;

	EVP_KDF_CTX_free(ctx);
	return good ? NULL : crypto_failed("HKDF");
}

struct gdump_error *crypto_gcm(struct crypto *c, const unsigned char *key,
			       const struct gcm_box *box, unsigned char *plain, bool *good)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len;
	const bool done = ctx && EVP_DecryptInit_ex2(ctx, c->gcm, key, box->iv, NULL) > 0 &&
			  EVP_DecryptUpdate(ctx, NULL, &len, box->aad, (int)box->aad_len) > 0 &&
			  EVP_DecryptUpdate(ctx, plain, &len, box->data, (int)box->len) > 0 &&
			  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_TAG,
					      crypto_unconst(box->tag)) > 0;

	/* this checks the tag */
	*good = done && EVP_DecryptFinal_ex(ctx, plain + box->len, &len) > 0;
	if (!*good)
		OPENSSL_cleanse(plain, box->len);
	EVP_CIPHER_CTX_free(ctx);
	if (!done)
		return crypto_failed("AES-256-GCM");
	ERR_clear_error();
	return NULL;
}

struct gdump_error *xts_create(struct crypto *c, const unsigned char *key, struct xts **ret)
{
	struct xts *x = calloc(1, sizeof(*x));

	if (!x)
		return error_nomem();
	x->ctx = EVP_CIPHER_CTX_new();
	if (!x->ctx || EVP_DecryptInit_ex2(x->ctx, c->xts, key, NULL, NULL) <= 0) {
		xts_destroy(x);
		return crypto_failed("AES-256-XTS");
	}
	*ret = x;
	return NULL;
}

struct gdump_error *xts_decrypt(struct xts *x, const unsigned char *tweak, unsigned char *buf,
				size_t len)
{
	int done = 0;

	if (EVP_DecryptInit_ex2(x->ctx, NULL, NULL, tweak, NULL) <= 0 ||
	    EVP_DecryptUpdate(x->ctx, buf, &done, buf, (int)len) <= 0 || (size_t)done != len)
		return crypto_failed("AES-256-XTS");
	return NULL;
}

void xts_destroy(struct xts *x)
{
	if (!x)
		return;
	EVP_CIPHER_CTX_free(x->ctx);    /* wipes its keys */
	free(x);
}

#else /* !HAVE_OPENSSL */

static struct gdump_error *crypto_none(void)
{
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "cannot decrypt: guestdump was built without OpenSSL");
}

struct gdump_error *crypto_open(struct crypto **ret)
{
	(void)ret;
	return crypto_none();
}

void crypto_close(struct crypto *c)
{
	(void)c;
}

struct gdump_error *crypto_hkdf(struct crypto *c, const struct hkdf *in, unsigned char *ret)
{
	(void)c, (void)in, (void)ret;
	return crypto_none();
}

struct gdump_error *crypto_gcm(struct crypto *c, const unsigned char *key,
			       const struct gcm_box *box, unsigned char *plain, bool *good)
{
	(void)c, (void)key, (void)box, (void)plain, (void)good;
	return crypto_none();
}

struct gdump_error *xts_create(struct crypto *c, const unsigned char *key, struct xts **ret)
{
	(void)c, (void)key, (void)ret;
	return crypto_none();
}

struct gdump_error *xts_decrypt(struct xts *x, const unsigned char *tweak, unsigned char *buf,
				size_t len)
{
	(void)x, (void)tweak, (void)buf, (void)len;
	return crypto_none();
}

void xts_destroy(struct xts *x)
{
	(void)x;
}

#endif

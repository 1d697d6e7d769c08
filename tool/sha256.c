/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "sha256.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef HAVE_OPENSSL

#include <openssl/evp.h>

enum { CHUNK = 1 << 20 };

bool sha256_is_built(void)
{
	return true;
}

static int sha256_update(EVP_MD_CTX *ctx, int fd)
{
	unsigned char *buf = malloc(CHUNK);
	ssize_t n = buf ? 1 : -1;
	int rc = 0;

	if (!buf)
		return ENOMEM;
	for (off_t at = 0; n > 0; at += n) {
		n = pread(fd, buf, CHUNK, at);
		if (n < 0 || !EVP_DigestUpdate(ctx, buf, (size_t)n))
			rc = n < 0 ? errno : EIO;
	}
	free(buf);
	return rc;
}

int sha256_of_file(int fd, struct sha256_text *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int rc = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ? sha256_update(ctx, fd) : ENOMEM;

	if (!rc && !EVP_DigestFinal_ex(ctx, digest, NULL))
		rc = EIO;
	EVP_MD_CTX_free(ctx);
	for (int i = 0; !rc && i < 32; i++)
		snprintf(ret->hex + 2 * i, 3, "%02x", digest[i]);
	return rc;
}

#else

bool sha256_is_built(void)
{
	return false;
}

int sha256_of_file(int fd, struct sha256_text *ret)
{
	(void)fd, (void)ret;
	return ENOTSUP;
}

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../util/cleanup.h"
#include "../util/cursor.h"

enum {
	VERSION = 1,
	SEED_OFF = 16, SEED_SIZE = 64,
	IV_OFF = 80,
	SEALED_OFF = 96, SEALED_SIZE = 176,
	TAG_OFF = 272,
	XTS_OFF = 16,                   /* in what is sealed */
};

/* Needed only for a moment, and wiped at the end */
struct secrets {
	unsigned char cck[PV_CCK_SIZE + 1];     /* one more, to notice a file that is too long */
	unsigned char plain[SEALED_SIZE];
};

struct gdump_error *pv_completion_check(const unsigned char *completion, size_t len)
{
	struct cursor c = cursor_init(completion, len, true, true);
	const uint32_t version = get_u32(&c), size = get_u32(&c);

	if (len < 8)
		return error_new(GDUMP_ERR_CORRUPT,
				 "section pv_compl (completion data): %zu bytes are too few", len);
	if (version != VERSION)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "section pv_compl (completion data): version %u is unknown; "
				 "guestdump knows version %d",
				 version, VERSION);
	if (len < PV_COMPLETION_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "section pv_compl (completion data): %zu bytes instead of %d", len,
				 PV_COMPLETION_SIZE);
	if (size != PV_COMPLETION_SIZE)
		return error_new(GDUMP_ERR_CORRUPT,
				 "section pv_compl (completion data): its length field is %u "
				 "instead of %d",
				 size, PV_COMPLETION_SIZE);
	return NULL;
}

/* Read as many bytes of file @path as fit into @buf. */
static struct gdump_error *pv_keys_read_file(const char *path, unsigned char *buf, size_t size,
					     size_t *ret)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t len = 0;

	if (fd < 0)
		return error_os(errno, "key file %s", path);
	while (len < size) {
		const ssize_t n = read(fd, buf + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_os(errno, "key file %s", path);
		if (!n)
			break;
		len += (size_t)n;
	}
	*ret = len;
	return NULL;
}

static struct gdump_error *pv_keys_read_cck(const char *path, struct secrets *secrets)
{
	size_t len = 0;
	struct gdump_error *err = pv_keys_read_file(path, secrets->cck, sizeof(secrets->cck), &len);

	if (!err && len > PV_CCK_SIZE)
		err = error_new(
			GDUMP_ERR_NOKEY,
			"key file %s: a customer communication key has %d bytes, and the file "
			"has more%s",
			path, PV_CCK_SIZE,
			secrets->cck[PV_CCK_SIZE] == '\n' ? ", such as a newline at the end" : "");
	else if (!err && len < PV_CCK_SIZE)
		err = error_new(GDUMP_ERR_NOKEY,
				"key file %s: a customer communication key has %d bytes, and the "
				"file has %zu",
				path, PV_CCK_SIZE, len);
	return err;
}

/* Fill @keys from the customer communication key in @secrets. */
static struct gdump_error *pv_keys_derive(struct crypto *c, struct secrets *secrets,
					  const unsigned char *completion, struct pv_keys *keys)
{
	const struct hkdf hkdf = {
		.key = secrets->cck, .salt = completion + SEED_OFF, .salt_len = SEED_SIZE,
		.info = "IBM Z Ultravisor Dump",
	};
	const struct gcm_box box = {
		.iv = completion + IV_OFF,
		.tag = completion + TAG_OFF,
		.aad = completion,
		.aad_len = SEALED_OFF,
		.data = completion + SEALED_OFF,
		.len = SEALED_SIZE,
	};
	struct gdump_error *err = crypto_hkdf(c, &hkdf, keys->dump);
	bool good = false;

	if (!err)
		err = crypto_gcm(c, keys->dump, &box, secrets->plain, &good);
	if (!err && !good)
		err = error_new(GDUMP_ERR_NOKEY,
				"this is not the key of this dump, or section pv_compl "
				"(completion data) is damaged");
	if (!err) {
		memcpy(keys->nonce, secrets->plain, sizeof(keys->nonce));
		memcpy(keys->xts, secrets->plain + XTS_OFF, sizeof(keys->xts));
	}
	return err;
}

struct gdump_error *pv_keys_create(struct crypto *c, const char *path,
				   const unsigned char *completion, struct pv_keys **ret)
{
	struct secrets *secrets = secret_alloc(sizeof(*secrets));
	struct pv_keys *keys = secret_alloc(sizeof(*keys));
	struct gdump_error *err = secrets && keys ? pv_keys_read_cck(path, secrets) : error_nomem();

	if (!err)
		err = pv_keys_derive(c, secrets, completion, keys);
	secret_free(secrets, sizeof(*secrets));
	if (err)
		pv_keys_destroy(keys);
	else
		*ret = keys;
	return err;
}

void pv_keys_destroy(struct pv_keys *keys)
{
	secret_free(keys, sizeof(*keys));
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * object_put.c - an object that is sent in one request (facts: RFC 9110, section 9.3.4; the Put Blob
 * page of the Azure Storage REST API)
 *
 * The URL says that we may: by a signature of S3, a shared access signature of Azure, or otherwise.
 * A server that knows Content-MD5 compares it; that knows If-None-Match, replaces nothing.
 */
#include "object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

/* Sets @ret to "Content-MD5: ...". */
static struct gdump_error *object_put_checksum(int fd, uint64_t len, char *ret, size_t size)
{
	unsigned char sum[MD5_SIZE];
	void *map = len ? mmap(NULL, (size_t)len, PROT_READ, MAP_SHARED, fd, 0) : NULL;

	if (map == MAP_FAILED)
		return error_os(errno, "cannot read the temporary file");
	md5(map, (size_t)len, sum);
	if (map)
		munmap(map, (size_t)len);
	snprintf(ret, size, "Content-MD5: %s", md5_to_base64(sum).text);
	return NULL;
}

static bool object_put_is_azure(const struct object *o)
{
	const char *host = strstr(o->where, "://");
	const char *end = host ? strpbrk(host + 3, ":/") : NULL;
	static const char domain[] = ".blob.core.windows.net";
	const size_t len = strlen(domain);

	return end && (size_t)(end - host) > len && !memcmp(end - len, domain, len);
}

struct gdump_error *object_put(const struct object *o, struct http *h, int fd, uint64_t len, bool replace)
{
	CLEANUP_FREE struct http_reply *reply = malloc(sizeof(*reply));
	struct object_call call = { .what = "upload", .method = "PUT", .query = "", .body_fd = fd,
				    .len = (size_t)len, .tries = OBJECT_TRIES };
	char checksum[64];
	size_t n = 0;
	struct gdump_error *err = reply ? object_put_checksum(fd, len, checksum, sizeof(checksum)) :
					  error_nomem();

	if (err)
		return err;
	call.headers[n++] = checksum;
	if (!replace)
		call.headers[n++] = "If-None-Match: *";
	if (object_put_is_azure(o))
		call.headers[n++] = "x-ms-blob-type: BlockBlob";
	err = object_send(o, h, &call, reply);
	return err || reply->status / 100 == 2 ? err : object_error(o, &call, reply);
}

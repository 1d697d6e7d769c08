/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "crash_dir.h"
#include "json.h"
#include "sha256.h"

enum { MAX_META = 1 << 20 };

/* FNV-1a, with the bits mixed at the end so that the first digits differ as well */
void crash_id_of(const char *path, char ret[17])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *path; path++)
		hash = (hash ^ (unsigned char)*path) * 0x100000001b3;
	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
	hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
	snprintf(ret, 17, "%016" PRIx64, hash ^ hash >> 33);
}

static json_t *json_crash_notes(const char *const *notes)
{
	json_t *all = json_array();

	for (; notes && *notes; notes++)
		json_array_append_new(all, json_string_of(*notes));
	return all;
}

json_t *crash_guest(const char *guest)
{
	return json_string_of(guest ? guest : "");
}

json_t *crash_meta_new(const struct crash *c, const struct crash_facts *f)
{
	struct utsname host;
	const bool has_host = !uname(&host);

	return json_pack("{s:i, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:I, s:n, s:b,"
		" s:o, s:o, s:s, s:o, s:n, s:b, s:[], s:O}",
		"schema", JSON_SCHEMA, "type", "crash", "id", c->id, "state", "writing",
		"path", json_string_of(c->final), "guest", crash_guest(f->guest),
		"uuid", json_string_of(f->uuid), "source", json_string_of(f->source),
		"hypervisor", json_string_of(f->hypervisor),
		"pid", f->pid > 0 ? json_count((uint64_t)f->pid) : json_null(),
		"host", json_string_of(has_host ? host.nodename : NULL),
		"reason", f->reason ? f->reason : "unknown", "detail", json_string_of(f->detail),
		"time", (json_int_t)f->time, "end_time", "first", c->first,
		"action", json_string_of(f->action), "notes", json_crash_notes(f->notes),
		"version", GUESTDUMP_VERSION, "kernel", json_string_of(has_host ? host.release : NULL),
		"bytes", "has_dump", false, "files",
		"earlier_dumps", c->earlier);
}

void crash_meta_end(json_t *meta, bool partial)
{
	json_object_set_new(meta, "state", json_string(partial ? "partial" : "whole"));
	json_object_set_new(meta, "end_time", json_count((uint64_t)time(NULL)));
}

int crash_meta_reserve(const struct crash *c, uint64_t bytes, bool has_dump)
{
	json_t *meta = crash_meta_read(c->store, c->fd);
	int rc;

	if (!meta)
		return ENOENT;
	json_object_set_new(meta, "bytes", json_count(bytes));
	json_object_set_new(meta, "has_dump", json_boolean(has_dump));
	rc = crash_meta_write(c->fd, meta);
	json_decref(meta);
	return rc;
}

/* Sync the file, and describe it; NULL and errno */
static json_t *json_crash_file(int fd, const struct crash_file *f)
{
	const int file = openat(fd, f->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct sha256_text digest;
	int rc = file < 0 ? errno : crash_sync(file);
	struct stat st = { 0 };

	if (!rc && sha256_is_built())
		rc = sha256_of_file(file, &digest);
	if (!rc && fstat(file, &st))
		rc = errno;
	if (file >= 0)
		close(file);
	errno = rc;
	return rc ? NULL : json_pack("{s:o, s:o, s:o}", "name", json_string_of(f->name),
				     "size", json_count((uint64_t)st.st_size),
				     "sha256", sha256_is_built() ? json_string(digest.hex) : json_null());
}

bool crash_meta_add_files(json_t *meta, int fd, const char *path, const struct crash_files *files,
			  struct failure *why)
{
	json_t *all = json_array(), *file;
	bool has_dump = false;
	uint64_t bytes = 0;
	char name[600];

	for (size_t i = 0; i < files->num; i++) {
		const struct crash_file *f = &files->files[i];

		if (!f->is_file || !strcmp(f->name, CRASH_META))
			continue;
		file = json_crash_file(fd, f);
		if (!file) {
			json_decref(all);
			snprintf(name, sizeof(name), "%s/%s", path, f->name);
			return crash_failed(why, name, "sync and read this file of a crash");
		}
		bytes += f->size;
		has_dump |= crash_file_is_dump(f);
		json_array_append_new(all, file);
	}
	json_object_set_new(meta, "files", all);
	json_object_set_new(meta, "has_dump", json_boolean(has_dump));
	json_object_set_new(meta, "bytes", json_count(bytes));
	return true;
}

static int put_all(int fd, const char *data, size_t len)
{
	while (len) {
		const ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return errno;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return crash_sync(fd);
}

int crash_put_file(int fd, const char *name, const void *data, size_t len)
{
	char temp[256];
	int file, rc;

	if ((size_t)snprintf(temp, sizeof(temp), "%s" CRASH_INCOMPLETE, name) >= sizeof(temp))
		return ENAMETOOLONG;
	unlinkat(fd, temp, 0);
	file = openat(fd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return errno;
	rc = put_all(file, data, len);
	close(file);
	if (!rc && renameat(fd, temp, fd, name))
		rc = errno;
	if (rc)
		unlinkat(fd, temp, 0);
	return rc;
}

int crash_meta_write(int fd, const json_t *meta)
{
	char *text = json_dumps(meta, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	int rc;

	if (!text)
		return ENOMEM;
	rc = crash_put_file(fd, CRASH_META, text, strlen(text));
	free(text);
	return rc;
}

static bool has_text(const json_t *meta, const char *key)
{
	return json_is_string(json_object_get(meta, key));
}

static bool meta_is_ours(const json_t *meta)
{
	return json_integer_value(json_object_get(meta, "schema")) == JSON_SCHEMA && has_text(meta, "type") &&
	       !strcmp(json_string_value(json_object_get(meta, "type")), "crash") &&
	       has_text(meta, "guest") && has_text(meta, "reason") && has_text(meta, "state") &&
	       json_is_integer(json_object_get(meta, "time")) && json_is_boolean(json_object_get(meta, "first")) &&
	       json_is_array(json_object_get(meta, "files"));
}

json_t *crash_meta_read(const struct crash_store *s, int fd)
{
	const int file = openat(fd, CRASH_META, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st, dir;
	json_t *meta = NULL;

	(void)s;
	if (file < 0)
		return NULL;
	/* it belongs to the owner of the directory, which crash_open_dir() has checked, or to us */
	if (!fstat(file, &st) && !fstat(fd, &dir) && S_ISREG(st.st_mode) && st.st_size <= MAX_META &&
	    (st.st_uid == dir.st_uid || st.st_uid == geteuid()))
		meta = json_loadfd(file, JSON_REJECT_DUPLICATES, NULL);
	close(file);
	if (meta && meta_is_ours(meta))
		return meta;
	json_decref(meta);
	return NULL;
}

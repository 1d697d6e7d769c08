/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * schemes.c - the schemes of names of running guests
 */
#include "live.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../util/bits.h"
#include "guest_watch.h"

static const struct guest_scheme schemes[] = {
	{ "qmp:", "qmp:SOCKET", false, qemu_open, qemu_reach, qemu_watch },
	{ "libvirt:", "libvirt:NAME", false, libvirt_guest_open, libvirt_reach, libvirt_watch },
	{ "libvirt+", "libvirt+URI:NAME", false, libvirt_guest_open_uri, NULL, libvirt_watch_uri },
	{ "pid:", "pid:N", true, pid_open, pid_reach, pid_watch },
};

const struct guest_scheme *guest_scheme_at(size_t i)
{
	return i < ARRAY_SIZE(schemes) ? &schemes[i] : NULL;
}

const struct guest_scheme *guest_scheme_of(const char *where)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (!strncmp(where, schemes[i].prefix, strlen(schemes[i].prefix)))
			return &schemes[i];
	}
	return NULL;
}

/* "qmp:SOCKET", and further ones once there are any */
struct usages_text { char text[200]; };

static struct usages_text guest_usages(void)
{
	struct usages_text ret = { "" };

	for (size_t i = 0, used = 0; i < ARRAY_SIZE(schemes) && used < sizeof(ret.text); i++)
		used += (size_t)snprintf(ret.text + used, sizeof(ret.text) - used, "%s%s",
					 i ? ", " : "", schemes[i].usage);
	return ret;
}

/* The scheme that is meant by that of @len characters, such as "QMP:" or QEMU's "unix:" */
static const char *guest_scheme_meant(const char *where, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (strlen(schemes[i].prefix) == len && !strncasecmp(where, schemes[i].prefix, len))
			return schemes[i].prefix;
	}
	return len == 5 && !strncasecmp(where, "unix:", len) ? "qmp:" : NULL;
}

struct gdump_error *guest_name_unknown(const char *where)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-";
	const size_t len = strspn(where, letters);
	const char *rest = where + len + 1, *meant;

	if (!strpbrk(where, "/.:") && *where)
		return error_os(ENOENT, "this is no file, and a running guest is named as in %s%.200s (\"guestdump guests\" lists them)",
				where[strspn(where, "0123456789")] ? "libvirt:" : "pid:", where);
	/* one letter is rather a drive of another system */
	if (len < 2 || where[len] != ':')
		return NULL;
	meant = guest_scheme_meant(where, len + 1);
	if (meant)
		return error_new(GDUMP_ERR_USAGE, "there is no such file; did you mean %s%.*s?", meant,
				 (int)MIN(strcspn(rest, ","), (size_t)200), rest);
	return error_new(GDUMP_ERR_USAGE,
			 "there is no such file, and \"%.*s:\" does not name a kind of running guest; "
			 "a running guest is named %s", (int)MIN(len, (size_t)40), where,
			 guest_usages().text);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qmp_name.c - a path is taken as it is, if there is such a file; anything else may be QEMU's
 * spelling (facts: qemu-options.hx, -chardev socket)
 */
#include "qmp_name.h"

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "../util/bits.h"

static const char digits[] = "0123456789";

/* Cut ",pid=N" off. */
static struct gdump_error *qmp_name_take_pid(struct qmp_name *name)
{
	char *pid = strrchr(name->path, ',');

	if (!pid || strncmp(pid, ",pid=", 5) || !pid[5] || pid[5 + strspn(pid + 5, digits)])
		return NULL;
	name->pid = strtol(pid + 5, NULL, 10);
	*pid = '\0';
	if (name->pid <= 0 || name->pid > INT32_MAX)
		return error_new(GDUMP_ERR_USAGE, "there is no process %s", pid + 5);
	return NULL;
}

/* Cut QEMU's options for a socket off, such as ",server=on,wait=off". */
static void qmp_name_cut_options(char *path)
{
	static const char *const options[] = {
		"server", "server=on", "server=off", "wait", "wait=on", "wait=off", "nowait",
		"mode=control", "abstract=off",
	};
	char *option;
	size_t i;

	while ((option = strrchr(path, ','))) {
		for (i = 0; i < ARRAY_SIZE(options) && strcmp(option + 1, options[i]); i++)
			;
		if (i == ARRAY_SIZE(options))
			return;
		*option = '\0';
	}
}

/* "tcp:...", or "HOST:PORT" with what may follow */
static bool qmp_name_is_tcp(const char *path)
{
	const char *port = strrchr(path, ':');
	size_t len;

	if (!strncmp(path, "tcp:", 4) || !strncmp(path, "telnet:", 7))
		return true;
	if (!port || strchr(path, '/'))
		return false;
	len = strspn(port + 1, digits);
	return len && (!port[1 + len] || port[1 + len] == ',');
}

struct gdump_error *qmp_name_parse(const char *text, struct qmp_name *ret)
{
	const bool is_unix = !strncmp(text, "unix:", 5) && access(text, F_OK);
	struct gdump_error *err;

	*ret = (struct qmp_name){ .path = strdup(is_unix ? text + 5 : text) };
	if (!ret->path)
		return error_nomem();
	err = qmp_name_take_pid(ret);
	if (is_unix)
		qmp_name_cut_options(ret->path);
	else if (!err && access(ret->path, F_OK) && qmp_name_is_tcp(ret->path))
		err = error_new(GDUMP_ERR_USAGE,
				"TCP is not supported: start QEMU with a monitor on a unix socket as well (-qmp unix:/run/vm.sock,server=on,wait=off)");
	return err;
}

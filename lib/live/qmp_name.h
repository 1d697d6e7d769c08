/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qmp_name.h - the name of a monitor, after "qmp:"
 */
#pragma once

#include <stdlib.h>

#include "../error.h"

struct qmp_name {
	char *path;                     /* of the socket; owned                 */
	long pid;                       /* of QEMU; 0: not given                */
};

/* Parse "PATH", "PATH,pid=N", or what follows -qmp on QEMU's command line,
 * "unix:PATH,server=on,wait=off".  GDUMP_ERR_USAGE: it is no unix socket.
 */
MUST_CHECK struct gdump_error *qmp_name_parse(const char *text, struct qmp_name *ret);

static inline void qmp_name_cleanup(struct qmp_name *name)
{
	free(name->path);
}
#define CLEANUP_QMP_NAME __attribute__((__cleanup__(qmp_name_cleanup)))

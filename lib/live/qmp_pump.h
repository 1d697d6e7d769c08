/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qmp_pump.h - a pipe that is read while we wait for QEMU
 */
#pragma once

#include "../error.h"

/* A descriptor to be read while we wait for QEMU, which may write there before
 * it answers.  The last thing done to it is to set @fd to -1.
 */
struct qmp_pump {
	int fd;
	/* @fd is readable or at its end. */
	struct gdump_error *(*ready)(struct qmp_pump *pump);
};

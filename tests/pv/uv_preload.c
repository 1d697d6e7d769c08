/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * uv_preload.c - the software Ultravisor for programs that know nothing of it
 *
 * With LD_PRELOAD a program's ioctl(2) reaches it.  $UV_KEY is a file with the customer
 * communication key, $UV_FAIL is for uv_fail(), $UV_DENY denies dumps.
 */
#include "uv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void prepare(void)
{
	const char *key = getenv("UV_KEY");
	FILE *f = key ? fopen(key, "re") : NULL;
	unsigned char cck[32] = "";

	if (f && fread(cck, sizeof(cck), 1, f) == 1)
		uv_set_key(cck);
	if (f)
		fclose(f);
	uv_fail(getenv("UV_FAIL"));
	uv_deny(getenv("UV_DENY"));
}

int ioctl(int fd, unsigned long request, ...)
{
	static bool prepared;
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!uv_knows(fd, request))
		return (int)syscall(SYS_ioctl, fd, request, arg);
	if (!prepared)
		prepare();
	prepared = true;
	return uv_ioctl(fd, request, arg);
}

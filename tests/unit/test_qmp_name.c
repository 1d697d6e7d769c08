/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_qmp_name.c - names of monitors, ours and QEMU's
 */
#include "check.h"
#include "live/qmp_name.h"

static void check_name(const char *text, const char *path, long pid)
{
	CLEANUP_QMP_NAME struct qmp_name name = { 0 };

	CHECK_OK(qmp_name_parse(text, &name));
	CHECK_STR(name.path, path);
	CHECK_INT(name.pid, pid);
}

static void check_refused(const char *text, const char *why)
{
	CLEANUP_QMP_NAME struct qmp_name name = { 0 };

	CHECK_ERR(qmp_name_parse(text, &name), GDUMP_ERR_USAGE, why);
}

int main(void)
{
	check_name("/run/vm.sock", "/run/vm.sock", 0);
	check_name("/run/vm.sock,pid=12", "/run/vm.sock", 12);
	check_name("/run/a,b", "/run/a,b", 0);
	check_name("/run/a,server=on", "/run/a,server=on", 0);
	check_name("/run/a:44", "/run/a:44", 0);
	check_name("/run/a,pid=x", "/run/a,pid=x", 0);
	check_name("unix:/run/vm.sock", "/run/vm.sock", 0);
	check_name("unix:/run/vm.sock,server=on,wait=off", "/run/vm.sock", 0);
	check_name("unix:/run/a,b,server,nowait,pid=7", "/run/a,b", 7);
	check_refused("tcp:localhost:4444", "TCP is not supported");
	check_refused("tcp:localhost:4444,server=on,wait=off", "TCP is not supported");
	check_refused("localhost:4444", "TCP is not supported");
	check_refused("[::1]:4444,server", "TCP is not supported");
	check_refused("/run/vm.sock,pid=0", "there is no process 0");
	check_refused("/run/vm.sock,pid=99999999999", "there is no process");
	return check_done();
}

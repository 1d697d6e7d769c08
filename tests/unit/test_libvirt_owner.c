/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_libvirt_owner.c - a guest of libvirt is found by what /proc and /usr have
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "live/libvirt_owner.h"

static char root[] = "/tmp/gd.XXXXXX";
static unsigned int warnings;

static void count_warning(void *arg, const char *message)
{
	(void)arg, (void)message;
	warnings++;
}

static void put(const char *name, const char *text, size_t len)
{
	char path[200];
	FILE *f;

	for (const char *slash = name; (slash = strchr(slash + 1, '/'));) {
		snprintf(path, sizeof(path), "%s%.*s", root, (int)(slash - name), name);
		mkdir(path, 0700);
	}
	snprintf(path, sizeof(path), "%s%s", root, name);
	f = fopen(path, "w");
	CHECK(f && fwrite(text, 1, len, f) == len && !fclose(f));
}

#define PUT(name, text) put(name, text, sizeof(text) - 1)
#define QEMU "qemu\0-name\0guest=vm,debug-threads=on\0"

static void remove_file(const char *name)
{
	char path[200];

	snprintf(path, sizeof(path), "%s%s", root, name);
	unlink(path);
}

int main(void)
{
	const struct gdump_open_options opt = { .warn = count_warning };

	CHECK(mkdtemp(root));
	PUT("/proc/100/cmdline", QEMU "-object\0{\"qom-type\":\"secret\",\"id\":\"masterKey0\"}\0");
	PUT("/proc/101/cmdline", QEMU "-qmp\0unix:x\0");
	CHECK_OK(libvirt_owner_check(root, 100, &opt));         /* no daemon */
	PUT("/proc/7/comm", "virtqemud\n");
	CHECK_OK(libvirt_owner_check(root, 100, &opt));
	CHECK_INT(warnings, 1);
	PUT("/proc/7/maps", "7f00-7f01 r-xp 0 0:0 1 /usr/lib/libc.so.6\n"
	    "7f02-7f03 r-xp 0 0:0 2 /usr/lib/x86_64-linux-gnu/libvirt.so.0.9000.0\n");
	CHECK_ERR(libvirt_owner_check(root, 100, &opt), GDUMP_ERR_UNSUPPORTED,
		  "belongs to libvirt 9.0 (process 7)");
	CHECK_OK(libvirt_owner_check(root, 101, &opt));         /* not libvirt's */
	CHECK_OK(libvirt_owner_check(root, 0, &opt));
	PUT("/proc/7/maps", "7f02-7f03 r-xp 0 0:0 2 /usr/lib64/libvirt.so.0.10000.0\n");
	CHECK_OK(libvirt_owner_check(root, 100, &opt));
	PUT("/proc/7/maps", "7f02-7f03 r-xp 0 0:0 2 /usr/lib64/libvirt.so.0.8000.0 (deleted)\n");
	CHECK_OK(libvirt_owner_check(root, 100, &opt));
	remove_file("/proc/7/maps");
	PUT("/usr/lib/x86_64-linux-gnu/libvirt.so.0.8001.0", "");
	CHECK_ERR(libvirt_owner_check(root, 100, &opt), GDUMP_ERR_UNSUPPORTED, "libvirt 8.1");
	PUT("/usr/lib/x86_64-linux-gnu/libvirt.so.0.11003.0", "");      /* which one runs? */
	CHECK_OK(libvirt_owner_check(root, 100, &opt));
	CHECK_INT(warnings, 2);
	for (size_t i = 0; i < 6; i++)
		remove_file((const char *const[]){ "/proc/100/cmdline", "/proc/101/cmdline",
			"/proc/7/comm", "/usr/lib/x86_64-linux-gnu/libvirt.so.0.8001.0",
			"/usr/lib/x86_64-linux-gnu/libvirt.so.0.11003.0", "" }[i]);
	for (size_t i = 0; i < 8; i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s%s", root, (const char *const[]){ "/proc/100",
			 "/proc/101", "/proc/7", "/proc", "/usr/lib/x86_64-linux-gnu", "/usr/lib",
			 "/usr", "" }[i]);
		rmdir(path);
	}
	return check_done();
}

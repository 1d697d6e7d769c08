/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_owner.c - a libvirt that crashes when its guest is dumped through another monitor
 *
 * The version is in the name of the library: libvirt.so.0.9000.0 is 9.0.0.  It is that which the
 * running daemon has mapped or, where we may not look, the one that is installed.
 */
#include "libvirt_owner.h"

#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/process_name.h"
#include "../util/warn.h"

enum {
	CRASHES_FROM = 8001, CRASHES_BEFORE = 10000,    /* 1000 * major + minor */
	CMDLINE_MAX = 256 << 10,
};

static const char so_name[] = "/libvirt.so.0.";

/* The words of the command line of @pid, up to CMDLINE_MAX bytes; their NULs become newlines. */
static char *libvirt_cmdline(const char *root, pid_t pid)
{
	char *text = calloc(1, CMDLINE_MAX + 1);
	char path[300];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%.250s/proc/%d/cmdline", root, (int)pid);
	f = fopen(path, "re");
	if (f && text)
		n = fread(text, 1, CMDLINE_MAX, f);
	if (f)
		fclose(f);
	for (size_t i = 0; i < n; i++) {
		if (!text[i])
			text[i] = '\n';
	}
	return text;
}

/* libvirt gives each guest a name and a key for its secrets. */
static bool libvirt_started(const char *root, pid_t pid)
{
	CLEANUP_FREE char *cmdline = libvirt_cmdline(root, pid);

	return cmdline && strstr(cmdline, "\n-name\nguest=") && strstr(cmdline, "masterKey0");
}

/* Find a running daemon; false: there is none. */
static bool libvirt_find_daemon(const char *root, char *pid, size_t size)
{
	struct dirent *entry;
	char proc[300];
	bool found = false;
	DIR *dir;

	snprintf(proc, sizeof(proc), "%.250s/proc", root);
	dir = opendir(proc);
	while (dir && !found && (entry = readdir(dir))) {
		struct process_name name;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		name = process_name(proc, entry->d_name);
		found = !strcmp(name.text, "libvirtd") || !strcmp(name.text, "virtqemud");
		if (found)
			snprintf(pid, size, "%.20s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

/* The version in a path, or 0 */
static unsigned int libvirt_version_in(const char *path)
{
	const char *so = strstr(path, so_name);

	return so ? (unsigned int)strtoul(so + strlen(so_name), NULL, 10) : 0;
}

static unsigned int libvirt_version_mapped(const char *root, const char *pid)
{
	unsigned int version = 0;
	char line[512];
	FILE *f;

	snprintf(line, sizeof(line), "%.250s/proc/%.20s/maps", root, pid);
	f = fopen(line, "re");
	while (f && !version && fgets(line, sizeof(line), f))
		version = libvirt_version_in(line);
	if (f)
		fclose(f);
	return version;
}

static unsigned int libvirt_version_installed(const char *root)
{
	static const char *const places[] = { "/usr/lib*", "/usr/lib/*-linux-gnu*", "/usr/local/lib*" };
	unsigned int version = 0;

	for (size_t i = 0; !version && i < ARRAY_SIZE(places); i++) {
		char pattern[350];
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%.250s%s%s*.*", root, places[i], so_name);
		if (!glob(pattern, GLOB_NOSORT, NULL, &found) && found.gl_pathc == 1)
			version = libvirt_version_in(found.gl_pathv[0]);
		globfree(&found);
	}
	return version;
}

struct gdump_error *libvirt_owner_check(const char *root, pid_t pid,
					const struct gdump_open_options *opt)
{
	unsigned int version;
	char daemon[24];

	if (pid <= 0 || !libvirt_started(root, pid) ||
	    !libvirt_find_daemon(root, daemon, sizeof(daemon)))
		return NULL;
	version = libvirt_version_mapped(root, daemon);
	if (!version)
		version = libvirt_version_installed(root);
	if (!version)
		warn_caller(opt, "the guest belongs to libvirt, whose version is unknown; a daemon of version 8.1 to 9.10 crashes now");
	if (version < CRASHES_FROM || version >= CRASHES_BEFORE)
		return NULL;
	return error_new(GDUMP_ERR_UNSUPPORTED,
			 "the guest belongs to libvirt %u.%u (process %s), which would crash when QEMU reports the end of a dump: name the guest libvirt:NAME instead, or update libvirt to 10.0 or newer",
			 version / 1000, version % 1000, daemon);
}

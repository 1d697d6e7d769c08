/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_process.c - what /proc says of a process that may run a guest
 *
 * Facts: proc(5).  The links in /proc/PID/fd are "anon_inode:kvm-vm", "anon_inode:kvm-vcpu:N" and
 * "socket:[INODE]"; they can be read by those who may trace the process.
 */
#include "host_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"

enum { CMDLINE_MAX = 256 << 10, WORDS_MAX = 16 << 10, FDS_MAX = 64 << 10 };

/* A link in the directory of a process, cut at its end; "" if it cannot be read */
struct proc_link { char text[300]; };

static struct proc_link proc_link(int dir, const char *name)
{
	struct proc_link ret;
	const ssize_t n = readlinkat(dir, name, ret.text, sizeof(ret.text) - 1);

	ret.text[n > 0 ? n : 0] = '\0';
	return ret;
}

/* Up to @max bytes of a file of the process, with a NUL at the end; *@len may be 0. */
static char *host_process_file(const struct host_process *p, const char *name, size_t max,
			       size_t *len)
{
	CLEANUP_FD int fd = openat(p->dir, name, O_RDONLY | O_CLOEXEC);
	size_t cap = MIN((size_t)4096, max);
	char *text = malloc(cap + 1), *larger;

	*len = 0;
	for (ssize_t n = 1; fd >= 0 && text && n > 0 && *len < max;) {
		if (*len == cap) {
			larger = realloc(text, 2 * cap + 1);
			if (!larger)
				break;
			text = larger;
			cap *= 2;
		}
		n = read(fd, text + *len, MIN(cap, max) - *len);
		*len += n > 0 ? (size_t)n : 0;
	}
	if (text)
		text[*len] = '\0';
	return text;
}

static struct gdump_error *host_process_read_words(struct host_process *p)
{
	CLEANUP_FREE char *text = NULL;
	size_t len, num = 0;
	char *at;

	text = host_process_file(p, "cmdline", CMDLINE_MAX, &len);
	if (!text)
		return error_nomem();
	for (size_t i = 0; i < len; i++)
		num += !text[i];
	if (!len)
		return NULL;
	num = MIN(num + 1, (size_t)WORDS_MAX);
	p->words = calloc(num + 1, sizeof(*p->words));
	if (!p->words)
		return error_nomem();
	for (at = text; at < text + len && p->num_words < num; at += strlen(at) + 1) {
		p->words[p->num_words] = strdup(at);
		if (!p->words[p->num_words++])
			return error_nomem();
	}
	return NULL;
}

/* The name of its file, or the first word of the command line where we may not look */
static void host_process_take_program(struct host_process *p)
{
	const struct proc_link exe = proc_link(p->dir, "exe");
	const char *path = *exe.text ? exe.text : p->words[0], *slash = strrchr(path, '/');
	char *deleted;

	snprintf(p->program, sizeof(p->program), "%.63s", slash ? slash + 1 : path);
	deleted = strstr(p->program, " (deleted)");
	if (deleted)
		*deleted = '\0';
}

static struct gdump_error *host_process_take_fd(struct host_process *p, const char *link)
{
	static const char vcpu[] = "anon_inode:kvm-vcpu";
	uint64_t inode;

	if (!strcmp(link, "anon_inode:kvm-vm"))
		p->kvm = true;
	else if (!strncmp(link, vcpu, sizeof(vcpu) - 1))
		p->num_vcpus++;
	else if (sscanf(link, "socket:[%" SCNu64 "]", &inode) == 1) {
		if (!ARRAY_GROW(p->sockets, p->num_sockets))
			return error_nomem();
		p->sockets[p->num_sockets++] = inode;
	}
	return NULL;
}

static struct gdump_error *host_process_read_fds(struct host_process *p)
{
	const int fd = openat(p->dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct gdump_error *err = NULL;
	struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	p->fds_known = dir;
	for (int i = 0; dir && !err && i < FDS_MAX && (entry = readdir(dir)); i++) {
		if (entry->d_name[0] != '.')
			err = host_process_take_fd(p, proc_link(fd, entry->d_name).text);
	}
	if (dir)
		closedir(dir);
	return err;
}

struct gdump_error *host_process_read(int proc, const char *name, struct host_process *ret)
{
	struct host_process p = { .pid = (pid_t)strtol(name, NULL, 10) };
	struct gdump_error *err;

	p.dir = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	err = p.dir >= 0 ? host_process_read_words(&p) : NULL;
	if (!err && p.num_words) {
		host_process_take_program(&p);
		err = host_process_read_fds(&p);
	}
	if (err)
		host_process_deinit(&p);
	else
		*ret = p;
	return err;
}

void host_process_deinit(struct host_process *p)
{
	for (size_t i = 0; i < p->num_words; i++)
		free(p->words[i]);
	free(p->words);
	free(p->sockets);
	if (p->dir >= 0)
		close(p->dir);
	*p = (struct host_process){ .dir = -1 };
}

uint64_t host_process_socket(const struct host_process *p, int fd)
{
	uint64_t inode;
	char name[24];

	snprintf(name, sizeof(name), "fd/%d", fd);
	return sscanf(proc_link(p->dir, name).text, "socket:[%" SCNu64 "]", &inode) == 1 ? inode : 0;
}

bool host_process_elsewhere(const struct host_process *p, const char *kind)
{
	struct proc_link ours, its;
	char name[40];

	snprintf(name, sizeof(name), "/proc/self/ns/%.16s", kind);
	ours = proc_link(AT_FDCWD, name);
	its = proc_link(p->dir, name + strlen("/proc/self/"));
	return *ours.text && *its.text && strcmp(ours.text, its.text) != 0;
}

bool host_process_stopped(const struct host_process *p)
{
	CLEANUP_FREE char *text = NULL;
	const char *after;
	size_t len;

	text = host_process_file(p, "stat", 1024, &len);
	/* the name, in parentheses, may contain anything */
	after = text ? strrchr(text, ')') : NULL;
	return after && (!strncmp(after, ") T", 3) || !strncmp(after, ") t", 3));
}

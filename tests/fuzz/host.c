/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host.c - what other processes of the host say of themselves
 *
 * The input is the command line of a process, as /proc shows it, and is also read as a table of
 * sockets.
 */
#include <string.h>
#include <sys/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz.h"
#include "live/host_sockets.h"
#include "live/vmm.h"

enum { WORDS_MAX = 64 };

static void fuzz_command_line(char *text, size_t size, const char *program)
{
	char *words[WORDS_MAX + 1] = { NULL };
	struct host_process p = { .dir = -1, .words = words, .kvm = true, .fds_known = true };
	struct vmm_facts facts;

	snprintf(p.program, sizeof(p.program), "%s", program);
	for (size_t at = 0; at < size && p.num_words < WORDS_MAX; at += strlen(text + at) + 1)
		words[p.num_words++] = text + at;
	if (!p.num_words || !vmm_recognize(&p, &facts))
		return;
	fuzz_look(facts.name, strlen(facts.name));
	for (size_t i = 0; i < facts.num_monitors; i++)
		fuzz_look(facts.monitors[i].path, strlen(facts.monitors[i].path));
}

static void fuzz_sockets(const uint8_t *data, size_t size)
{
	struct host_sockets s = { 0 };
	struct gdump_error *err;
	char path[40];
	const int fd = memfd_create("sockets", 0);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, data, size) != (ssize_t)size)
		fuzz_die("cannot write to a memfd");
	err = host_sockets_read(path, &s);
	for (size_t i = 0; !err && i < s.num; i++)
		fuzz_look(s.all[i].path, strlen(s.all[i].path));
	gdump_error_destroy(err);
	host_sockets_deinit(&s);
	close(fd);
}

void fuzz_host(const uint8_t *data, size_t size)
{
	static const char *const programs[] = {
		"qemu-system-x86_64", "crosvm", "lkvm", "cloud-hypervisor", "firecracker", "other",
	};
	char *text = calloc(1, size + 1);

	if (!text)
		return;
	memcpy(text, data, size);
	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++)
		fuzz_command_line(text, size, programs[i]);
	fuzz_sockets(data, size);
	free(text);
}

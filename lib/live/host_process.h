/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_process.h - what /proc says of a process that may run a guest
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../error.h"

struct host_process {
	pid_t pid;
	int dir;                        /* /proc/PID                            */
	char program[64];               /* the name of its file, without directories */
	char **words;                   /* of its command line; ends with NULL  */
	size_t num_words;
	bool fds_known;                 /* else we may not look, and all below is 0 */
	bool kvm;                       /* it has a virtual machine of KVM      */
	uint32_t num_vcpus;             /* of KVM                               */
	uint64_t *sockets;              /* inodes                               */
	size_t num_sockets;
};

/* Read what is known of the process @name, a directory in @proc (a descriptor of /proc); *ret has
 * no words if it is not a process with a command line, or has ended.
 */
MUST_CHECK struct gdump_error *host_process_read(int proc, const char *name,
						 struct host_process *ret);
void host_process_deinit(struct host_process *p);

/* The inode of its socket with the descriptor @fd; 0: unknown */
uint64_t host_process_socket(const struct host_process *p, int fd);
/* Whether it is in another namespace of that kind ("mnt", "net") than this process; false where
 * that is unknown
 */
bool host_process_elsewhere(const struct host_process *p, const char *kind);
/* Whether it is stopped, as by SIGSTOP */
bool host_process_stopped(const struct host_process *p);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * userfault.h - another process's write protection by userfaultfd(2), and how to lift it
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { MAX_USERFAULTS = 4 };

/* The descriptors of that kind that a process has, as copies of ours */
struct userfault {
	int fds[MAX_USERFAULTS];
	size_t num;
};

/* Look for them in process @pid; none is found where the kernel does not let us. */
void userfault_open(struct userfault *u, pid_t pid);
void userfault_close(struct userfault *u);
/* Let whoever waits for [addr, addr + len), whole pages in the process, write to it.
 * False: it is as it was.
 */
bool userfault_lift(const struct userfault *u, uint64_t addr, uint64_t len);

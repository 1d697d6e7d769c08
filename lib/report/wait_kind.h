/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wait_kind.h - one wait of a task
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum wait_kind {
	WAIT_NONE,
	WAIT_MUTEX, WAIT_RWSEM_READ, WAIT_RWSEM_WRITE, WAIT_SEMAPHORE, WAIT_RT_MUTEX,
	WAIT_PERCPU_READ, WAIT_PERCPU_WRITE,
	/* without a lock: what the functions on the stack are for */
	WAIT_NFS, WAIT_FUSE, WAIT_USERFAULT, WAIT_JOURNAL, WAIT_REQUEST, WAIT_PAGE, WAIT_BUFFER, WAIT_BIT,
	WAIT_RCU,
	WAIT_COMPLETION,
};

struct wait {
	enum wait_kind kind;
	uint64_t lock;                  /* its address, or that of the struct folio (struct page),
					 * or the word of the bit; 0: there is none, or it is
					 * unknown               */
	uint32_t bit;                   /* of a page, or of that word           */
	uint64_t owner;                 /* the task_struct that holds it; 0: unknown */
	bool owner_may_be_gone;         /* it is the reader that came last      */
};

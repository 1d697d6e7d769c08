/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cleanup.h - local variables that are freed when they go out of scope
 */
#pragma once

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}
#define CLEANUP_FREE __attribute__((__cleanup__(cleanup_free)))

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define CLEANUP_FD __attribute__((__cleanup__(cleanup_fd)))

/* Return the value of a CLEANUP_ variable, which is not freed then. */
#define TAKE_PTR(p) __extension__ ({ __typeof__(p) take_ = (p); (p) = NULL; take_; })
#define TAKE_FD(fd) __extension__ ({ int take_ = (fd); (fd) = -1; take_; })

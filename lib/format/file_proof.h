/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * file_proof.h - whether headers agree with their file
 */
#pragma once

#include "pieces.h"

struct file_proof {
	const char *what;               /* in messages: the headers             */
	struct pieces named;            /* bytes that headers name; no addresses */
	struct pieces heads;            /* of these, headers and notes          */
	struct pieces loads;            /* memory, as in the program headers     */
};

/* [@off, @off + @size) of the file, which is in it, is named by a header. */
MUST_CHECK struct gdump_error *file_proof_add(struct file_proof *p, bool is_load, uint64_t paddr,
					     uint64_t size, uint64_t off);
/* The same, if it may be memory as well. */
MUST_CHECK struct gdump_error *file_proof_name(struct file_proof *p, uint64_t size, uint64_t off);
/* One thread at a time, when all has been added. */
MUST_CHECK struct gdump_error *file_proof_check(struct file_proof *p, struct bytes *in);
/* As in struct source_ops. */
MUST_CHECK struct gdump_error *file_proof_affected(const struct file_proof *p,
						  const struct spans *broken, struct damage *to);
void file_proof_deinit(struct file_proof *p);

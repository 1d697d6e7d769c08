/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * firecracker.h - the state file of a Firecracker snapshot
 */
#pragma once

#include "../machine/source.h"
#include "../util/cursor.h"

struct firecracker_state {
	unsigned char *buf;             /* all of the file; NULL: there is none */
	size_t len;
	uint16_t machine;               /* ELF e_machine                        */
	uint64_t memory_size;           /* in bytes; 0: unknown                 */
};

/* Whether @in is such a file, as its checksum says */
bool firecracker_is_state(struct bytes *in);
/* Read it; firecracker_state_deinit() is due also after an error. */
MUST_CHECK struct gdump_error *firecracker_state_read(struct bytes *in,
						      struct firecracker_state *ret);
void firecracker_state_deinit(struct firecracker_state *s);
/* Add the notes of the CPUs to the image of @source, which has memory and VMCOREINFO, if the page
 * tables in @state prove what the registers are.  Else the image is unchanged; @why: the reason
 */
MUST_CHECK struct gdump_error *firecracker_add_cpus(const struct firecracker_state *state,
						    struct source *source, const char **why);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pv.h - dumps of protected guests: IBM Secure Execution on s390x
 *
 * Only the firmware can dump such a guest.  It encrypts pages and registers, and only the
 * owner of the guest, who has its customer communication key, can decrypt them.  This directory
 * offers a source around the source of such a file.  It is locked until unlock() gets the
 * key; until then only an outline of the machine is visible.  After that it is like any other
 * source; the thread that reads a page decrypts it.
 *
 * Memory is not authenticated: a change of the file garbles 16 bytes of a page, and cannot
 * be detected.  The completion data and the CPUs' areas are authenticated.
 */
#pragma once

#include "../machine/source.h"
#include "meta.h"

/* A section of the file */
struct pv_section {
	bool found;
	uint64_t off, size;
};

/* What a format found of a protected dump: its sections, and where its memory is */
struct pv_sections {
	struct bytes *in;               /* borrowed from the inner source       */
	struct pv_section meta, completion;     /* pv_mem_meta, pv_compl        */
	struct pv_load *loads;          /* segments, in file order, without .off;
					 * allocated                            */
	size_t num_loads;
};

/* Create a locked source around @inner, whose memory is encrypted.  If sections are missing or
 * damaged, it cannot be unlocked.  Takes ownership of sections->loads, and of @inner unless it
 * fails.
 */
MUST_CHECK struct gdump_error *pv_wrap(struct source *inner, struct pv_sections *sections,
				       struct source **ret);

/* Whether @image has an encrypted area of a CPU.  It need not be sealed. */
bool pv_has_cpus(const struct image *image);

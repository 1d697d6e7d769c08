/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * pv.h - dumps of protected guests: IBM Secure Execution on s390x
 *
 * Only the firmware can dump such a guest.  It gives the pages and CPUs encrypted, and
 * only the owner of the guest, who has its customer communication key, can decrypt them.
 * Here is a source around the source of such a file.  It is locked until it is given that
 * key: then nothing but the machine's outline can be seen.  After that it is like any
 * other; pages are decrypted when they are read, by the thread that reads.
 *
 * Memory is not authenticated: a change in the file garbles 16 bytes of a page, and
 * nobody can notice.  The completion data and the areas of the CPUs are.
 */
#pragma once

#include "../machine/source.h"
#include "meta.h"

/* A section of the file, by its place */
struct pv_section {
	bool found;
	uint64_t off, size;
};

/* What a format knows of a protected dump */
struct pv_parts {
	struct bytes *in;               /* borrowed from the inner source       */
	struct pv_section meta, completion;     /* pv_mem_meta, pv_compl        */
	struct pv_load *loads;          /* of the memory that should be in the file,
					 * in file order, without .off          */
	size_t num_loads;
};

/* Put a source around @inner, whose memory is encrypted.  It is locked; if its parts are
 * such that no key helps, it stays so.  Takes over @inner, unless it fails, and
 * parts->loads.
 */
MUST_CHECK struct gdump_error *pv_wrap(struct source *inner, struct pv_parts *parts,
				       struct source **ret);

/* Whether @image has a note of a protected CPU */
bool pv_has_cpus(const struct image *image);

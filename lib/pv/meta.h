/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * meta.h - section pv_mem_meta: what each page of a protected dump is
 *
 * It has 16 bytes for each page, its tweak component.  If these begin with four bytes of
 * 0xff, the page is not encrypted: bit 0x02 of the last byte says that it was shared with
 * the host, and is as it is; bit 0x01 that it is zero, whatever stands in the file; bit
 * 0x04 (mapped) is of no matter; all else is invalid.
 *
 * The components are in the order of the segments in the file.  If the section is not
 * that long, but long enough to have a place for each page from address 0 on, it is
 * taken to be in the order of addresses: QEMU 7.2 does so if there are gaps.
 *
 * Facts: QEMU's target/s390x/arch_dump.c, s390-tools' zdump/.
 */
#pragma once

#include "../bytes/bytes.h"

enum { PV_PAGE = 4096, PV_COMPONENT = 16 };

enum pv_state { PV_ENCRYPTED, PV_SHARED, PV_ZERO, PV_INVALID };

enum pv_state pv_state(const unsigned char *component);

/* A segment: memory that is in the file. */
struct pv_load {
	uint64_t paddr, size;           /* size is above 0                      */
	uint64_t there;                 /* less than size where the file was cut
					 * short; whole pages                   */
	uint64_t off;                   /* of its components, in the file       */
};

struct pv_meta {
	struct bytes *in;               /* borrowed                             */
	struct pv_load *loads;          /* ascending                            */
	size_t num_loads;
	uint64_t off, size;             /* of the section                       */
	bool by_address;
};

/* Check the loads, which come in file order without .off, and the size of the section;
 * sort them and find out where their components are.
 */
MUST_CHECK struct gdump_error *pv_meta_init(struct pv_meta *m);
void pv_meta_deinit(struct pv_meta *m);

/* The components of the pages from @paddr on, as many as follow each other in one segment
 * but at most @num, of which @ret says how many.  0: the page at @paddr is not there.
 */
MUST_CHECK struct gdump_error *pv_meta_read(const struct pv_meta *m, uint64_t paddr, size_t num,
					    unsigned char *components, size_t *ret);
/* How many of the pages that are there have each state; reads the whole section.  @invalid: the address
 * of the first of those.
 */
MUST_CHECK struct gdump_error *pv_meta_count(const struct pv_meta *m, uint64_t count[4],
					     uint64_t *invalid);

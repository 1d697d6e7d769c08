/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * meta.h - section pv_mem_meta: what each page of a protected dump is
 *
 * It has 16 bytes for each page, the tweak component.  If they begin with four bytes of
 * 0xff, the page is not encrypted.  Then bit 0x02 of the last byte means that it was shared
 * with the host, and its bytes are in the file; bit 0x01 that it is zero, and its bytes in
 * the file have no meaning; bit 0x04 (mapped) is ignored; other values are invalid.
 *
 * The components are in the order of the segments in the file.  A section that is longer
 * than these need, and long enough to have a component for each page from address 0 on, is in
 * the order of addresses: QEMU 7.2 writes it so if there are gaps.
 *
 * Facts: QEMU's target/s390x/arch_dump.c, s390-tools' zdump/.
 */
#pragma once

#include "../bytes/bytes.h"

enum { PV_PAGE = 4096, PV_COMPONENT = 16 };

enum pv_state { PV_ENCRYPTED, PV_SHARED, PV_ZERO, PV_INVALID };

enum pv_state pv_state(const unsigned char *component);

/* An ELF segment */
struct pv_load {
	uint64_t paddr, size;           /* size is above 0                      */
	uint64_t there;                 /* bytes in the file, in whole pages; less
					 * than size if the file is truncated   */
	uint64_t off;                   /* offset in the file of its components */
};

struct pv_meta {
	struct bytes *in;               /* borrowed                             */
	struct pv_load *loads;          /* ascending                            */
	size_t num_loads;
	uint64_t off, size;             /* of the section                       */
	bool by_address;
};

/* Check the loads, which are in file order and lack .off, and the size of the section; set
 * .off, and sort the loads by address.
 */
MUST_CHECK struct gdump_error *pv_meta_init(struct pv_meta *m);
void pv_meta_deinit(struct pv_meta *m);

/* Read the components of up to @num pages from @paddr on, of one segment.  @ret: how many; 0:
 * the page at @paddr is not in the file.
 */
MUST_CHECK struct gdump_error *pv_meta_read(const struct pv_meta *m, uint64_t paddr, size_t num,
					    unsigned char *components, size_t *ret);
/* Count the pages in the file by state, which reads the whole section.  @invalid: the
 * address of the first invalid page, if there is one.
 */
MUST_CHECK struct gdump_error *pv_meta_count(const struct pv_meta *m, uint64_t count[4],
					     uint64_t *invalid);

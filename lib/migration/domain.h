/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/domain.h - what libvirt's XML of a domain says of its memory
 */
#pragma once

#include "placement.h"

enum { DOMAIN_MAX_ADDRS = 1024 };

struct domain {
	char machine[80];
	struct block_addr *addrs;  /* of DIMMs and the like                */
	size_t num_addrs;
};

/* Read what is of use from @len bytes of XML, which may be anything.  Fails only for
 * want of memory.
 */
MUST_CHECK struct gdump_error *domain_parse(struct domain *d, const char *xml, size_t len);
void domain_deinit(struct domain *d);

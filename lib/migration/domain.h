/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * migration/domain.h - the memory in libvirt's XML of a domain
 */
#pragma once

#include "placement.h"

enum { DOMAIN_MAX_ADDRS = 1024 };

struct domain {
	char machine[80];
	struct block_addr *addrs;  /* of DIMMs and similar devices         */
	size_t num_addrs;
};

/* Find the machine and the addresses in @len bytes of XML, which may be invalid: then less is
 * found.  Fails only when memory cannot be allocated.
 */
MUST_CHECK struct gdump_error *domain_parse(struct domain *d, const char *xml, size_t len);
void domain_deinit(struct domain *d);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "uts.h"

#include <string.h>

#include "../arch/arch.h"
#include "../util/bits.h"
#include "../machine/vmcoreinfo.h"

/* struct new_utsname: six fields of 65 bytes */
enum { SYSNAME, NODENAME, RELEASE, VERSION, MACHINE, DOMAINNAME, NUM_FIELDS };

static bool uts_is_text(const char *field)
{
	size_t len = strnlen(field, UTS_LEN);

	for (size_t i = 0; i < len; i++) {
		if (field[i] < ' ' || field[i] > '~')
			return false;
	}
	return len && len < UTS_LEN;
}

bool uts_paddr(const struct image *image, uint64_t *paddr)
{
	uint64_t vaddr, off = 4;

	/* VMCOREINFO has it since 5.11; before, a counter came first */
	vmcoreinfo_decimal(image, "OFFSET(uts_namespace.name)", &off);
	return image->arch->image_paddr && vmcoreinfo_symbol(image, "init_uts_ns", &vaddr) &&
	       image->arch->image_paddr(image, vaddr + off, paddr);
}

void image_read_uts(struct source *s)
{
	struct image *image = &s->image;
	char uts[NUM_FIELDS][UTS_LEN];
	CLEANUP_ERROR struct gdump_error *err = NULL;
	uint64_t paddr;

	if (image->version[0] || !uts_paddr(image, &paddr))
		return;
	err = source_read(s, paddr, uts, sizeof(uts));
	if (err || strncmp(uts[SYSNAME], "Linux", UTS_LEN) || !uts_is_text(uts[VERSION]) ||
	    strncmp(uts[RELEASE], image->release, UTS_LEN))
		return;         /* not found; nothing depends on it */
	memcpy(image->version, uts[VERSION], UTS_LEN);
	if (uts_is_text(uts[NODENAME]))
		memcpy(image->nodename, uts[NODENAME], UTS_LEN);
}

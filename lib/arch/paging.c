/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/paging.c - which page tables a kernel and a CPU use
 */
#include "../machine/walker.h"
#include "arch.h"

struct gdump_error *paging_of_kernel(struct source *s, struct paging *ret)
{
	const struct arch *arch = s->image.arch;
	struct paging p = { .entry_size = 8, .big = s->image.big };
	struct gdump_error *err = NULL;
	unsigned char entry[8];

	if (!s->image.vmcoreinfo)
		return error_new(GDUMP_ERR_UNSUPPORTED, "there is no VMCOREINFO");
	if (!arch->paging)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the page tables of machine %s are not supported",
				 arch_uname(&s->image));
	if (!arch->paging(s, &p))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "VMCOREINFO does not contain the address of the kernel's page "
				 "tables");
	if (p.levels)
		err = source_read(s, p.root, entry, p.entry_size);
	if (err) {
		paging_deinit(&p);
		return error_prefix(err, "cannot read the kernel's page tables");
	}
	*ret = p;
	return NULL;
}

bool paging_of_cpu(struct source *s, size_t cpu, struct paging *ret)
{
	const struct image *image = &s->image;
	const struct gdump_note *n;

	*ret = (struct paging){ .entry_size = 8, .big = image->big };
	for (size_t i = 0; image->arch->cpu_paging && (n = image_cpu_note(image, cpu, i)); i++) {
		if (image->arch->cpu_paging(image, n, ret))
			return true;
	}
	return false;
}

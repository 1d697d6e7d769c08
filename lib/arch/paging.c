/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * arch/paging.c - which page tables a kernel and a CPU use
 */
#include "../machine/walker.h"
#include "arch.h"

bool paging_of_kernel(struct source *s, struct paging *ret)
{
	const struct arch *arch = s->image.arch;

	*ret = (struct paging){ .entry_size = 8, .big = s->image.big };
	/* tables do not lie in ascending order */
	return s->ops->order != READ_ASCENDING && s->image.vmcoreinfo && arch->paging &&
	       arch->paging(s, ret);
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

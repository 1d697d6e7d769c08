/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "arch.h"

#include <string.h>

#include "../machine/image.h"
#include "../machine/vmcoreinfo.h"
#include "../util/bits.h"

static const struct arch *const arches[] = {
#define X(name) &arch_##name,
	ARCHES(X)
#undef X
};

/* Any other machine: its memory can be copied, but not understood. */
const struct arch arch_unknown = {
	.name = "unknown",
	.is64 = true,
	.page_size = 4096,
};

const struct arch *arch_at(size_t i)
{
	return i < ARRAY_SIZE(arches) ? arches[i] : NULL;
}

const char *arch_uname(const struct image *image)
{
	const struct arch *arch = image->arch;

	return !image->big && arch->little_name ? arch->little_name : arch->name;
}

const struct arch *arch_by_name(const char *name, bool *big)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		const struct arch *arch = arches[i];
		const bool little = arch->little_name && !strcmp(name, arch->little_name);

		*big = arch->little_name ? !little : arch->only_big;
		if (little || !strcmp(name, arch->name))
			return arch;
	}
	return NULL;
}

const struct arch *arch_by_machine(uint16_t machine)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		if (arches[i]->machine == machine)
			return arches[i];
	}
	return &arch_unknown;
}

const struct arch *arch_by_kernel(const struct image *image)
{
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		if (arches[i]->kernel_key && vmcoreinfo_get(image, arches[i]->kernel_key, &len))
			return arches[i];
	}
	return &arch_unknown;
}

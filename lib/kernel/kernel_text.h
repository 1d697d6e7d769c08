/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kernel_text.h - the code of the guest's kernel and its modules: which function is at an address
 */
#pragma once

#include "modules.h"

struct text {
	const struct kernel *kernel;
	struct modules modules;
	/* code of the image, and what only ran while it booted; end 0: none */
	struct { uint64_t start, end; } parts[2];
};

struct text_symbol {
	const char *name;               /* belongs to the text; NULL: its name is unknown */
	const struct module *module;    /* NULL: the kernel itself              */
	uint64_t vaddr, size;           /* of the function                      */
};

/* Only GDUMP_ERR_NOMEM is an error.  The caller frees @ret with text_deinit(); @k must be open
 * until then.
 */
MUST_CHECK struct gdump_error *text_read(struct kernel *k, struct text *ret);
void text_deinit(struct text *t);

/* Whether there is code of the kernel itself at @vaddr; @end: of that code. */
bool text_in_image(const struct text *t, uint64_t vaddr, uint64_t *end);
/* Whether there is code at @vaddr. */
bool text_has(const struct text *t, uint64_t vaddr);
/* The function there; false: it is no code. */
bool text_at(const struct text *t, uint64_t vaddr, struct text_symbol *ret);

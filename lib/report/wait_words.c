/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "wait_words.h"

#include <stdlib.h>

#include "../util/bits.h"
#include "../util/cleanup.h"

enum { MAX_USED = 65536 };

bool wait_words_init(struct wait_words *w, struct kernel *k)
{
	*w = (struct wait_words){ .kernel = k, .size = k->source->image.is64 ? 8 : 4,
				  .buf = malloc(MAX_USED) };
	return w->buf;
}

void wait_words_deinit(struct wait_words *w)
{
	free(w->buf);
}

bool wait_words_read(struct wait_words *w, uint64_t sp, uint64_t lo, uint64_t hi)
{
	CLEANUP_ERROR struct gdump_error *err = NULL;

	w->num = 0;
	if (sp < lo || sp >= hi)
		return false;
	w->lo = round_down(sp, w->size);
	w->num = (size_t)(MIN(hi - w->lo, MAX_USED) / w->size);
	err = walker_read(&w->kernel->walker, w->lo, w->buf, w->num * w->size);
	return !err;
}

uint64_t wait_words_at(const struct wait_words *w, size_t i)
{
	return kernel_get(w->kernel, w->buf + i * w->size, w->size);
}

uint64_t wait_words_vaddr(const struct wait_words *w, size_t i)
{
	return w->lo + i * w->size;
}

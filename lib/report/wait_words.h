/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * wait_words.h - the words of a task's stack, as far as it is in use
 */
#pragma once

#include "../kernel/kernel.h"

struct wait_words {
	struct kernel *kernel;
	uint64_t lo;                    /* the address of the first one         */
	size_t num;
	unsigned int size;              /* of a word                            */
	unsigned char *buf;
};

/* False: there is no memory.  The caller calls wait_words_deinit() in any case. */
bool wait_words_init(struct wait_words *w, struct kernel *k);
void wait_words_deinit(struct wait_words *w);
/* Read those from @sp to the end of the stack [lo, hi); false: they cannot be read. */
bool wait_words_read(struct wait_words *w, uint64_t sp, uint64_t lo, uint64_t hi);
/* The @i-th word, and its address */
uint64_t wait_words_at(const struct wait_words *w, size_t i);
uint64_t wait_words_vaddr(const struct wait_words *w, size_t i);

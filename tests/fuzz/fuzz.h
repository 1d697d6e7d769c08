/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * fuzz.h - targets: each gives bytes of a stranger to one of our interfaces
 *
 * A target returns; whatever else happens is a finding: a report of a sanitizer,
 * fuzz_die(), too much time or memory, a leaked descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef void fuzz_fn(const uint8_t *data, size_t size);

fuzz_fn fuzz_dump, fuzz_protected, fuzz_kernel, fuzz_monitor, fuzz_mtree, fuzz_host, fuzz_stream,
	fuzz_silent, fuzz_pagedeflate, fuzz_watch, fuzz_layout;

void fuzz_silent_prepare(void);
void fuzz_layout_prepare(void);

/* The key of the protected dumps: PV_CCK_SIZE times this byte */
enum { FUZZ_KEY_BYTE = 'k' };

/* Say what is wrong, and stop. */
__attribute__((__noreturn__, __format__(__printf__, 1, 2)))
void fuzz_die(const char *fmt, ...);
/* Look at every byte, so that a sanitizer sees what cannot be read. */
void fuzz_look(const void *p, size_t len);

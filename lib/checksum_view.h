/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * checksum_view.h - a file whose checksum is compared as it is read
 *
 * At first a view only notes which regions of the file were read.  Once it is enforced, it
 * compares each region before a byte of it is given to anyone, and reading one that does not fit
 * is an error.  So wrong bytes are found without a second pass, where they matter.
 */
#pragma once

#include "bytes/bytes.h"
#include "util/spans.h"

/* @ret: a view, which owns @inner, if @inner has a checksum; else @inner itself.  On error @inner
 * is still the caller's.
 */
MUST_CHECK struct gdump_error *checksum_view_open(struct bytes *inner, struct bytes **ret);
/* The file itself, if @b is a view of one */
struct bytes *checksum_view_plain(struct bytes *b);
/* Compare what is read from now on.  What was read before is compared now: @broken, which is
 * sorted, are its bytes that do not fit; there are some only with an error.  @ret: whether @b has
 * a checksum.  May be called by several threads; others may read meanwhile.
 */
MUST_CHECK struct gdump_error *checksum_view_enforce(struct bytes *b, struct spans *broken,
						     bool *ret);
/* Only note again what is read. */
void checksum_view_relax(struct bytes *b);

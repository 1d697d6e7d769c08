/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pv_source.h - an open protected dump, shared by the files that read it
 *
 *     pv_pages.c     the source: its pages, and its lock
 *     pv_image.c     what is known of the machine
 */
#pragma once

#include <pthread.h>

#include "pv.h"

struct pv_source {
	struct source source;
	struct source *inner;
	struct pv_meta meta;
	struct pv_section completion;
	uint32_t version;
	struct gdump_error *broken;     /* why it cannot be unlocked, or NULL   */
	struct crypto *crypto;
	struct pv_keys *keys;           /* NULL: locked                         */
	struct gdump_error *lost;       /* the error of the first lost CPU      */
	pthread_mutex_t lock;           /* of idle                              */
	struct pv_idle *idle;
};

/* Fill @image: an outline, or with p->keys everything.  @opt may be NULL without keys.  After
 * an error image_deinit() is due as well.
 */
MUST_CHECK struct gdump_error *pv_make_image(struct pv_source *p,
					     const struct gdump_open_options *opt,
					     struct image *image);

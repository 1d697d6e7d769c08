/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * qemu_events.h - what the events of QEMU's monitor say about its guest
 */
#pragma once

#include <jansson.h>

#include "guest_watch.h"

struct qemu_events {
	struct guest_watch *watch;      /* gets them                            */
	bool stopped;                   /* the guest is paused, and QEMU has not said why */
};

/* Take an event of that name; @data (NULL: none) are its members. */
MUST_CHECK struct gdump_error *qemu_events_take(struct qemu_events *e, const char *name,
						const json_t *data);
/* Take the state that QEMU's answer to query-status says; @at_first: what has led there was before
 * our time.
 */
MUST_CHECK struct gdump_error *qemu_events_take_state(struct qemu_events *e, const json_t *answer,
						      bool at_first);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_worker.h - the process that takes the crash of a guest, as the watcher sees it
 */
#pragma once

#include "watch_guest.h"

/* Start it for @g, which waits. Returns whether it was started: then @g is taken. Otherwise @g is
 * watched again, if there is nothing to take, or waits on, after an error message.
 */
bool worker_start(struct watched *g, uint64_t now);
/* It has said that the guest is not needed any more, or has ended. Returns whether it has ended. */
bool worker_listen(struct watched *g, uint64_t now);

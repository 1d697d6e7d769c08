/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_journal.h - what guestdump watch says to systemd, where there is one
 *
 * libsystemd is loaded when it is needed: nothing depends on its package.
 */
#pragma once

#include "crash_store.h"

/* The MESSAGE_ID of crashes in the journal */
#define CRASH_MESSAGE_ID "4639e26fb12d42eaa591d4c10f05250f"

/* A crash was kept in @dir: a message, and in the journal fields with all that is known. */
void journal_crash(const struct crash_facts *facts, const char *dir, const char *id);
/* Tell the service manager: "READY=1", for example. Does nothing without one. */
void journal_notify(const char *state);
/* How often it wants to hear "WATCHDOG=1", in milliseconds; 0: never */
unsigned int journal_watchdog_ms(void);

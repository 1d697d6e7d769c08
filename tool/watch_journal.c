/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_journal.c - facts: sd_notify(3), sd_journal_send(3), sd_watchdog_enabled(3)
 */
#include "watch_journal.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "tool.h"

enum { NUM_FIELDS = 12, FIELD_MAX = 1024 };

/* A function of libsystemd; NULL: it is not installed, or this program is linked statically. */
static void *systemd_function(const char *name)
{
#ifdef STATIC_PROGRAM
	(void)name;
	return NULL;
#else
	/* stays loaded */
	void *library = dlopen("libsystemd.so.0", RTLD_NOW);

	return library ? dlsym(library, name) : NULL;
#endif
}

void journal_notify(const char *state)
{
	int (*notify)(int unset, const char *state) = NULL;
	void *function = getenv("NOTIFY_SOCKET") ? systemd_function("sd_notify") : NULL;

	memcpy(&notify, &function, sizeof(function));
	if (notify)
		notify(0, state);
}

unsigned int journal_watchdog_ms(void)
{
	const char *us = getenv("WATCHDOG_USEC");
	const unsigned long long interval = us ? strtoull(us, NULL, 10) : 0;

	/* twice as often as necessary, as sd_watchdog_enabled(3) advises */
	return interval / 2000 > UINT32_MAX ? UINT32_MAX : (unsigned int)(interval / 2000);
}

/* Send fields to the journal; false: there is none. */
static bool journal_send(const struct iovec *fields, int num)
{
	int (*sendv)(const struct iovec *iov, int n) = NULL;
	void *function = getenv("JOURNAL_STREAM") ? systemd_function("sd_journal_sendv") : NULL;

	memcpy(&sendv, &function, sizeof(function));
	return sendv && !sendv(fields, num);
}

void journal_crash(const struct crash_facts *facts, const char *dir, const char *id)
{
	char texts[NUM_FIELDS][FIELD_MAX], pid[16];
	struct iovec fields[NUM_FIELDS];
	const char *const values[][2] = {
		{ "MESSAGE_ID", CRASH_MESSAGE_ID }, { "PRIORITY", "2" },
		{ "GUESTDUMP_GUEST", facts->guest }, { "GUESTDUMP_UUID", facts->uuid },
		{ "GUESTDUMP_REASON", facts->reason }, { "GUESTDUMP_DETAIL", facts->detail },
		{ "GUESTDUMP_DIRECTORY", dir }, { "GUESTDUMP_ID", id },
		{ "GUESTDUMP_HYPERVISOR", facts->hypervisor }, { "OBJECT_PID", facts->pid ? pid : NULL },
	};
	int num = 0;

	snprintf(pid, sizeof(pid), "%d", (int)facts->pid);
	snprintf(texts[num++], FIELD_MAX, "MESSAGE=%s: %s: kept in %s", facts->guest, facts->reason, dir);
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		if (values[i][1])
			snprintf(texts[num++], FIELD_MAX, "%s=%s", values[i][0], values[i][1]);
	}
	for (int i = 0; i < num; i++)
		fields[i] = (struct iovec){ texts[i], strlen(texts[i]) };
	if (!journal_send(fields, num))
		say("%s: kept in %s", facts->guest, dir);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * run_state.c - the run states are those of QEMU (facts: its qapi/run-state.json)
 */
#include "run_state.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *text;
} states[] = {
	{ "paused",         "it was paused before" },
	{ "guest-panicked", "its kernel has panicked" },
	{ "shutdown",       "it has shut down" },
	{ "suspended",      "it is suspended to RAM" },
	{ "prelaunch",      "it was not started yet" },
	{ "postmigrate",    "it was migrated to another place" },
	{ "finish-migrate", "it is being migrated to another place" },
	{ "internal-error", "QEMU cannot continue it after an internal error" },
	{ "io-error",       "it was paused after an error of a disk" },
	{ "watchdog",       "it was paused by its watchdog" },
	{ "debug",          "it was paused by a debugger" },
	{ "save-vm",        "its state is being saved" },
	{ "restore-vm",     "its state is being restored" },
};

struct run_state_text run_state_text(const struct gdump_info *info)
{
	const char *name = info->run_state ? info->run_state : "";
	const char *text = "why is unknown";
	struct run_state_text ret = { "" };

	if (info->was_running || !*name)
		return ret;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
		if (!strcmp(states[i].name, name))
			text = states[i].text;
	}
	snprintf(ret.text, sizeof(ret.text), ": %s (%s)", text, name);
	return ret;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_migration.c - having QEMU take a snapshot: settings, start and end
 *
 * Facts: QEMU's qapi/migration.json, migration/migration.c.
 */
#include "snapshot_migration.h"

#include <poll.h>
#include <string.h>

#include "../util/clock.h"
#include "rights.h"

#define CAPABILITY "background-snapshot"

/* The name that QEMU has for its end of the pipe */
#define SNAPSHOT_FD "guestdump-snapshot"

enum {
	POLL_MS = 5,
	END_US = 30000000,              /* for a migration to end               */
};

static struct gdump_error *capability_set(struct qmp *q, bool on)
{
	return qmp_execute(q, "migrate-set-capabilities",
			   json_pack("{s:[{s:s, s:b}]}", "capabilities", "capability", CAPABILITY,
				     "state", on), NULL);
}

/* Whether the capability is on already; QEMU without it refuses.  A capability that
 * contradicts ours is refused when ours is set, except for this one, of which QEMU
 * complains only later.
 */
static struct gdump_error *capability_get(struct qmp *q, bool *on)
{
	CLEANUP_JSON json_t *caps = NULL;
	struct gdump_error *err = qmp_execute(q, "query-migrate-capabilities", NULL, &caps);
	bool known = false;
	const json_t *cap;
	size_t i;

	if (err)
		return err;
	json_array_foreach(caps, i, cap) {
		const char *name = json_string_value(json_object_get(cap, "capability"));
		const bool is_on = json_is_true(json_object_get(cap, "state"));

		if (name && is_on && !strcmp(name, "mapped-ram"))
			return error_new(GDUMP_ERR_REMOTE,
					 "mapped-ram is on, with which QEMU cannot migrate through a pipe");
		if (name && !strcmp(name, CAPABILITY)) {
			known = true;
			*on = is_on;
		}
	}
	return known ? NULL : error_new(GDUMP_ERR_REMOTE,
					"this QEMU has no background snapshots (6.0 and later have)");
}

/* Devices that cannot be migrated cannot be in a snapshot either. */
static struct gdump_error *migration_check_blockers(struct qmp *q)
{
	CLEANUP_JSON json_t *json = NULL;
	struct gdump_error *err = qmp_execute(q, "query-migrate", NULL, &json);
	const char *why;

	if (err)
		return err;
	why = json_string_value(json_array_get(json_object_get(json, "blocked-reasons"), 0));
	return why ? error_new(GDUMP_ERR_REMOTE, "QEMU says: %s", why) : NULL;
}

struct gdump_error *snapshot_migration_prepare(struct snapshot_migration *m)
{
	static const char undo[] =
		"\"execute\":\"migrate-set-capabilities\",\"arguments\":{\"capabilities\":["
		"{\"capability\":\"" CAPABILITY "\",\"state\":false}]}";
	struct qmp *q = m->guest->qmp;
	bool was_on = false;
	struct gdump_error *err = capability_get(q, &was_on), *why;

	if (!err)
		err = migration_check_blockers(q);
	if (err || was_on)
		return err;
	/* from here on the guard turns it off if we cannot */
	err = guest_guard_undo(m->guest, undo);
	if (err)
		return err;
	m->set = true;
	err = capability_set(q, true);
	why = err && qmp_refusal(q) ? rights_explain_uffd(qmp_pid(q)) : NULL;
	if (!why)
		return err;
	gdump_error_destroy(err);
	return why;
}

static struct gdump_error *migration_query(struct qmp *q, json_t **json, const char **status)
{
	struct gdump_error *err = qmp_execute(q, "query-migrate", NULL, json);

	*status = "none";
	if (!err && json_object_get(*json, "status"))
		err = qmp_get_string(*json, "query-migrate", "status", status);
	return err;
}

static bool migration_is_over(const char *status)
{
	return !strcmp(status, "none") || !strcmp(status, "completed") ||
	       !strcmp(status, "failed") || !strcmp(status, "cancelled");
}

/* Wait until the migration is over; @done gets what QEMU reports. */
static struct gdump_error *migration_wait(struct qmp *q, json_t **done)
{
	const uint64_t begun = clock_us();

	for (;;) {
		CLEANUP_JSON json_t *json = NULL;
		const char *status;
		struct gdump_error *err = migration_query(q, &json, &status);

		if (err)
			return err;
		if (migration_is_over(status)) {
			*done = json_incref(json);
			return NULL;
		}
		if (clock_us() - begun > END_US)
			return error_new(GDUMP_ERR_REMOTE, "QEMU's snapshot does not end (%s)",
					 status);
		poll(NULL, 0, POLL_MS);
	}
}

struct gdump_error *snapshot_migration_start(struct snapshot_migration *m, int theirs, int ours)
{
	struct qmp *q = m->guest->qmp;
	struct gdump_error *err = guest_guard_pipe(m->guest, SNAPSHOT_FD, ours, false);

	if (!err)
		err = qmp_send_fd(q, SNAPSHOT_FD, theirs);
	if (err)
		return err;
	err = qmp_execute(q, "migrate", json_pack("{s:s}", "uri", "fd:" SNAPSHOT_FD), NULL);
	m->started = !err || !qmp_refusal(q);
	return err;
}

struct gdump_error *snapshot_migration_finish(struct snapshot_migration *m)
{
	CLEANUP_JSON json_t *done = NULL;
	struct gdump_error *err = migration_wait(m->guest->qmp, &done);
	const char *status = "", *why;

	if (!err)
		err = qmp_get_string(done, "query-migrate", "status", &status);
	if (err)
		return err;
	m->started = false;
	if (!strcmp(status, "completed"))
		return NULL;
	why = json_string_value(json_object_get(done, "error-desc"));
	return error_new(GDUMP_ERR_REMOTE, "QEMU's snapshot has %s%s%s", status, why ? ": " : "",
			 why ? why : "");
}

void snapshot_migration_restore(struct snapshot_migration *m)
{
	if (m->set)
		gdump_error_destroy(capability_set(m->guest->qmp, false));
	m->set = false;
	guest_guard_undone(m->guest);
}

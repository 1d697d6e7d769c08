/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * snapshot_migration.h - having QEMU take a snapshot: settings, start and end
 *
 * A snapshot is a migration with the capability "background-snapshot" into a pipe.  For one
 * thread at a time.
 */
#pragma once

#include "guest.h"

struct snapshot_migration {
	struct guest *guest;
	bool set;                       /* the capability is, by us             */
	bool started;                   /* and its stream has to be read to the end */
};

/* Set the capability, which QEMU refuses if it or the host cannot do it: then, and for
 * other obstacles that can be known now, GDUMP_ERR_REMOTE.  snapshot_migration_restore() is
 * due also after an error.
 */
MUST_CHECK struct gdump_error *snapshot_migration_prepare(struct snapshot_migration *m);
/* Start it: the stream goes to @theirs, of which QEMU gets a copy, and comes out at @ours, which
 * the guard reads to the end if we are killed.
 */
MUST_CHECK struct gdump_error *snapshot_migration_start(struct snapshot_migration *m, int theirs,
							int ours);
/* The stream has ended: wait until QEMU has, too.  An error if it reports one. */
MUST_CHECK struct gdump_error *snapshot_migration_finish(struct snapshot_migration *m);
/* Put the capability back. */
void snapshot_migration_restore(struct snapshot_migration *m);

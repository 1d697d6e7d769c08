/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_dump.h - libvirt's own dump, which pauses the guest, into a pipe of ours
 */
#pragma once

#include "guest.h"
#include "libvirt_api.h"
#include "qemu_dump.h"

struct libvirt_dump;

enum { LIBVIRT_PROBE_SIZE = 4096 };     /* of memory that follows the head      */

/* Begin a dump by @domain, which is used by no one else until libvirt_dump_end(), and read its
 * head, with up to LIBVIRT_PROBE_SIZE bytes of the first load.  From here on the guest is paused.
 * @all: all memory will be read by libvirt_dump_read(); else the rest is never written.  The guard of
 * @guarded has the pipe, too, until it is closed.
 */
MUST_CHECK struct gdump_error *libvirt_dump_start(const struct domain *domain,
						  const struct gdump_open_options *opt, bool all,
						  struct guest *guarded, struct libvirt_dump **ret);
const struct qemu_head *libvirt_dump_head(const struct libvirt_dump *d);
/* Bytes of the dump from @off on, which only grows */
MUST_CHECK struct gdump_error *libvirt_dump_read(struct libvirt_dump *d, uint64_t off, void *buf,
						 size_t len);
/* If libvirt has ended the dump although we did not: why.  The guest may run since then. */
MUST_CHECK struct gdump_error *libvirt_dump_lost(struct libvirt_dump *d);
/* End it, so that libvirt resumes the guest, wait for that, and free it; NULL is fine. */
void libvirt_dump_end(struct libvirt_dump *d);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * live.h - running guests: the contract of this directory
 *
 * A way to reach running guests is a file here that ends with an open function, and a row in
 * schemes.c; nothing else of the library knows it. The open function fills a struct source
 * that has guest_ops (see machine/source.h): it may pause the guest, and then close()
 * resumes it, whatever happened in between. If this process can be killed while the guest is
 * paused, something else has to resume it: the guard (see gdump_guard()), or the
 * hypervisor that notices that we are gone.
 *
 * What such files share, and what does not know QEMU: memory_map.h (where in a process the
 * guest's memory is), procmem.h (reading that process), rights.h (why that is not allowed)
 * and kvm.h (registers of KVM's CPUs).
 */
#pragma once

#include "../machine/source.h"
#include "kvm.h"

struct host_guest;                      /* see host_guests.h                    */
struct guest_watch;                     /* see guest_watch.h                    */
struct qmp;

/* One scheme of names of running guests */
struct guest_scheme {
	const char *prefix;             /* "qmp:"                               */
	const char *usage;              /* "qmp:SOCKET", for messages           */
	bool takes_ranges;              /* where memory is may be given         */
	/* @name: what follows the prefix. @opt is never NULL; what is needed later is
	 * copied, but for what its pointers point to.
	 */
	struct gdump_error *(*open)(const char *name, const struct gdump_open_options *opt,
				    struct source **ret);
	/* Add to @g the names of this scheme by which that guest of this host can be opened,
	 * also those that do not work now and why; NULL: its guests are not found.
	 */
	struct gdump_error *(*reach)(struct host_guest *g);
	/* See guest_watch.h; NULL: its guests cannot be watched. */
	struct gdump_error *(*watch)(const char *name, const struct gdump_open_options *opt,
				     struct guest_watch **ret);
};

/* The @i-th scheme; NULL past the last. */
const struct guest_scheme *guest_scheme_at(size_t i);
/* The scheme that @where begins with; NULL: it is the path of a file. */
const struct guest_scheme *guest_scheme_of(const char *where);
/* Whether @where, which is not the path of a file, looks like a guest with another scheme or none:
 * then an error that shows how a guest is named, else NULL.
 */
struct gdump_error *guest_name_unknown(const char *where);

/* QEMU by the path of the socket of its QMP monitor */
MUST_CHECK struct gdump_error *qemu_open(const char *path, const struct gdump_open_options *opt,
					 struct source **ret);
/* Connect to the monitor of such a name. */
MUST_CHECK struct gdump_error *qemu_connect(const char *where, const struct gdump_open_options *opt,
					    struct qmp **ret);
/* Open the guest of @qmp, which the source uses until it is closed, as its caller does. */
MUST_CHECK struct gdump_error *qemu_open_watched(struct qmp *qmp, const struct gdump_open_options *opt,
						 struct source **ret);
/* A guest of libvirt: "NAME" of qemu:///system, or "URI:NAME" */
MUST_CHECK struct gdump_error *libvirt_guest_open(const char *name,
						  const struct gdump_open_options *opt,
						  struct source **ret);
MUST_CHECK struct gdump_error *libvirt_guest_open_uri(const char *where,
						const struct gdump_open_options *opt,
						struct source **ret);
/* Split "URI:NAME"; *@uri is for free(). */
MUST_CHECK struct gdump_error *libvirt_split_name(const char *where, char **uri, const char **name);
/* guest_scheme.reach */
MUST_CHECK struct gdump_error *qemu_reach(struct host_guest *g);
MUST_CHECK struct gdump_error *libvirt_reach(struct host_guest *g);
/* A guest of KVM by the number of its VMM's process */
MUST_CHECK struct gdump_error *pid_open(const char *name, const struct gdump_open_options *opt,
					struct source **ret);
MUST_CHECK struct gdump_error *pid_reach(struct host_guest *g);
MUST_CHECK struct gdump_error *pid_parse(const char *name, pid_t *ret);
/* A guest of this process. @desc is complete, and needed only during the call. */
MUST_CHECK struct gdump_error *embed_open(const struct gdump_guest *desc,
					  const struct gdump_open_options *opt,
					  kvm_ioctl_fn *ioctl, struct source **ret);

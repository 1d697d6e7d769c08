/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format.h - the dump formats: each is a row that can read, or write, or both
 */
#pragma once

#include "../bytes/companions.h"
#include "../machine/source.h"
#include "../write/writer.h"

struct ranges;

#define CHECKSUM_MARK "GSUM"
enum { CHECKSUM_MARK_SIZE = 4 };

struct format {
	const char *name, *summary;
	bool seeks;             /* create() needs a seekable sink, one that scatters, or a
				 * flat one                                  */
	bool writes_twice;      /* not only the headers: create() needs no sink that scatters,
				 * but a seekable one                        */
	bool marks_lost;        /* a page that could not be read is known as such in the
				 * file; else it is zero                     */
	bool maps;              /* may have virtual addresses                   */
	bool any_order;         /* on a sink that seeks, store() takes batches whose
				 * pages are not ascending                   */
	bool drops_top_device_memory; /* what lies above all RAM is omitted, as
				 * readers take the highest page for the size of RAM */
	bool ranges_file;       /* PATH.ranges says what is where, see ranges.h */
	bool sections;          /* can hold those of a protected guest's dump   */
	const char *codec;      /* the default; NULL: pages are not compressed  */
	/* Whether the first bytes of a file look like this format: pure. */
	bool (*probe)(const unsigned char *head, size_t len);
	/* Owns @in from now on, also when it fails. */
	struct gdump_error *(*open)(struct bytes *in, struct source **ret);
	/* The same for a file that does not say what is where: @ranges does.  NULL: its
	 * files do.
	 */
	struct gdump_error *(*open_at)(struct bytes *in, const struct ranges *ranges,
				       struct source **ret);
	/* The same for the files of a split dump, in any order; @names are for messages, and
	 * borrowed.  Such a format is also written as a split dump.  NULL: one dump is one
	 * file.
	 */
	struct gdump_error *(*open_parts)(struct bytes *const *in, const char *const *names,
					  size_t num, struct source **ret);
	/* The same for a dump that is several files of different kinds, see companions.h: @in is
	 * the one that the format is recognized by.  NULL: a dump is one file, or its files are
	 * alike.
	 */
	struct gdump_error *(*open_set)(struct bytes *in, const struct companions *others,
					struct source **ret);
	/* Of such a format: the file that it is recognized by, to be freed, if @path is a directory
	 * of its files or another one of them; else set *@ret to NULL.  May be NULL.
	 */
	struct gdump_error *(*main_file)(const char *path, char **ret);
	/* Whether a file whose first bytes no format knows is of this one, by all of its bytes.
	 * May be NULL.
	 */
	bool (*recognizes)(struct bytes *in);
	bool by_name;           /* recognized or not, if the caller names the format */
	/* The same for a file that may have several snapshots: the one of this name or id; NULL: the
	 * only one.  NULL: its files have one state.
	 */
	struct gdump_error *(*open_snapshot)(struct bytes *in, const char *name,
					     struct source **ret);
	/* Call @fn for each of those.  @in is borrowed. */
	struct gdump_error *(*snapshots)(struct bytes *in, gdump_snapshot_fn *fn, void *arg);
	/* Whether it can hold @plan of @s, so far as depends on the machine and its system.
	 * NULL: it holds all.
	 */
	struct gdump_error *(*check)(struct source *s, const struct gdump_plan *plan);
	/* Make a writer.  NULL: the format is only read. */
	struct gdump_error *(*create)(const struct write_spec *spec, struct writer **ret);
	/* Whether a checksum may follow the last byte of a file with this image, because
	 * readers ignore what is there.  NULL: never.  If the sink ->checksums, the file
	 * has CHECKSUM_MARK in its header, where other readers ignore it too.
	 */
	bool (*takes_trailer)(const struct image *image);
};

/* Every format of this build, in the order they are tried. */
#define FORMATS(X) \
	X(kdump)   \
	X(xen_core) \
	X(elf)     \
	X(lime)    \
	X(avml)    \
	X(savevm)  \
	X(libvirt_save) \
	X(qcow2)   \
	X(s390)    \
	X(win_dmp) \
	X(firecracker) \
	X(cloud_hypervisor) \
	X(vmware) \
	X(hyperv) \
	X(raw)

#define X(name) extern const struct format format_##name;
FORMATS(X)
#undef X

static inline bool format_reads(const struct format *f)
{
	return f->open || f->open_set;
}

/* The i-th one, or NULL past the end. */
const struct format *format_at(size_t i);
/* By name.  QEMU's names that include a codec ("kdump-zlib", "kdump-raw-lzo") are accepted
 * too, and set @codec.  NULL: unknown.
 */
const struct format *format_find(const char *name, const char **codec);

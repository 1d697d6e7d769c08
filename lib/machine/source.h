/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * source.h - where memory comes from: a dump file or a running guest
 *
 * A source embeds struct source as its first member and fills image and ops.
 * While gdump_open() opens it, one thread has it: it may unlock() it, and adds
 * to the image what is found in memory.  From then on every function below may be
 * called from many threads at once; source_read() lets one at a time into a
 * READ_ASCENDING source.
 * Pausing a guest and pushing replace the contents of its notes, and set
 * is_mutable: the caller of gdump_write() leaves notes alone meanwhile.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "../util/debug.h"
#include "../util/spans.h"
#include "image.h"

struct source;
struct bytes;

/* What is known of a page without reading it. */
enum page_state {
	PAGE_THERE,     /* read it                                              */
	PAGE_HOLE,      /* all zero, need not be read                           */
	PAGE_ABSENT,    /* not in the input: filtered out or lost               */
};

/* A page as a file of compressed pages holds it. */
struct stored_page {
	uint32_t len;                   /* bytes; 0: it is zero                 */
	uint32_t flag;                  /* the codec's kdump_flag; 0: not compressed */
};

/* Takes the pages of a source that pushes them, in any order. */
struct page_sink {
	/* Take a page of memory; @data NULL: it is zero.  A page that came before is
	 * ignored.
	 */
	struct gdump_error *(*put)(void *arg, uint64_t pfn, const void *data);
	/* Whether page @pfn is part of the dump and did not come yet. */
	bool (*wants)(void *arg, uint64_t pfn);
	/* Reserve space for up to *@num pages, so that put() need not copy them.  NULL:
	 * there is none now; a bulk producer should wait, pages that cannot wait may
	 * still be passed to put().
	 */
	void *(*reserve)(void *arg, size_t *num);
	/* Whether the dump was canceled; to be asked while waiting. */
	bool (*canceled)(void *arg);
	void *arg;
};

/* What of a dump may be wrong, as something in its file is. */
struct damage {
	struct spans memory;            /* guest-physical                       */
	bool tables;                    /* headers, notes or tables, which all memory depends on */
};

/* How a dump gets the pages of a source. */
enum read_order {
	READ_ANY,               /* by read(), from many threads                 */
	READ_ASCENDING,         /* by read(), one call at a time, by ascending address;
				 * before, read() works as for READ_ANY, but slower */
	READ_PUSHED,            /* by push(); until then read() works as for READ_ANY */
};

/* What a guest can do, in contrast to a file.  Members may be NULL. */
struct guest_ops {
	/* A guest that runs until it is dumped: choose the moment of the dump now, so that what is
	 * read from here on is of that moment; with @cpus, the notes of its CPUs as well.  Pauses
	 * a guest that does not keep running.
	 */
	struct gdump_error *(*pause)(struct source *s, bool cpus);
	/* All has been read: resume a guest that we paused.  Else it does nothing. */
	struct gdump_error *(*resume)(struct source *s);
	/* Microseconds that the guest has been paused by us */
	uint64_t (*paused_us)(const struct source *s);
	/* The longest time, in microseconds, that a guest waited for us while it pushed */
	uint64_t (*stalled_us)(const struct source *s);
	/* While a dump is written, several times a second, by one thread: it has come to
	 * @progress, another number whenever something was read or written.  An error:
	 * why the guest, which we have paused, must be resumed now.
	 */
	struct gdump_error *(*overdue)(struct source *s, uint64_t progress);
	/* An error: the guest was resumed by someone else, and what was read last may be
	 * of a later moment.
	 */
	struct gdump_error *(*torn)(struct source *s);
};

/* Of a source whose memory is encrypted.  @unlock and @protection may be NULL. */
struct encryption_ops {
	/* NULL, or why memory cannot be read, and what would help. */
	struct gdump_error *(*usable)(const struct source *s);
	/* Take opt->key_file: the image is another one, and read() works from now on.
	 * Only while the source is being opened.
	 */
	struct gdump_error *(*unlock)(struct source *s, const struct gdump_open_options *opt);
	/* Fill all but .size; works on a locked one too. */
	struct gdump_error *(*protection)(struct source *s, struct gdump_protection *ret);
};

/* A section of the dump of a protected guest, beside memory and notes. */
struct pv_dump_section {
	const char *name;
	uint64_t size;
};

enum { PV_DUMP_PIECE = 1 << 20 };       /* fetch() is asked for no more         */

/* Of a protected guest, whose memory makes sense only as a whole, and with sections that
 * can be had only when all memory has been read.
 */
struct pv_dump_ops {
	/* From here on memory can be read.  @image: what to write; @sections: an array
	 * that ends with a NULL name.  Both are there until end().
	 */
	struct gdump_error *(*begin)(struct source *s, const struct image **image,
				     const struct pv_dump_section **sections);
	/* [off, off + len) of a section: all of them, in ascending order */
	struct gdump_error *(*fetch)(struct source *s, size_t section, uint64_t off,
				     void *buf, size_t len);
	/* Due after begin(), once, whatever came of the dump. */
	struct gdump_error *(*end)(struct source *s);
};

struct source_ops {
	const char *name;
	enum read_order order;
	/* Copy [paddr, paddr + len) to @buf.  The caller asks only for bytes
	 * inside one range.
	 */
	struct gdump_error *(*read)(struct source *s, uint64_t paddr, void *buf, size_t len);
	/* The states of @num pages from @pfn on; all of them lie, at least in
	 * part, in ranges.  Without @holes the caller does not care which of
	 * them are PAGE_HOLE, and need not pay for it.  NULL: all are
	 * PAGE_THERE.
	 */
	struct gdump_error *(*scan)(struct source *s, uint64_t pfn, size_t num,
				    unsigned char *state, bool holes);
	/* Whether scan() may answer PAGE_ABSENT */
	bool has_absent;
	/* How many pages from @pfn on, of @num that all lie in ranges, scan() would
	 * give the same *@state, PAGE_HOLE or PAGE_ABSENT; 0: ask it.  What lies in
	 * them costs nothing, since an input may claim far more memory than it has.
	 * NULL: always 0.
	 */
	uint64_t (*gap)(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state);
	/* A pointer to [paddr, paddr + len), inside one range, valid until
	 * close, or NULL: read it instead.  May be NULL as a whole.  Only for
	 * memory that does not change meanwhile: a codec looks more than once.
	 */
	const void *(*borrow)(struct source *s, uint64_t paddr, size_t len);
	/* Pages [pfn, pfn + num), which are all there, as the input holds them:
	 * back to back in @buf, which has room for @num whole pages.  False: read()
	 * them, as one is compressed by another codec than that of @flag (kdump_flag),
	 * or cannot be read, or is not good, so far as the source looks.  NULL: the
	 * input holds no pages by themselves.
	 */
	bool (*stored)(struct source *s, uint64_t pfn, size_t num, uint32_t flag,
		       void *buf, struct stored_page *ret);
	/* READ_PUSHED only: give all pages, in an order of its own, on the calling
	 * thread, which is another than the one that opened the source but alone with
	 * it.  Once; memory is read() before, if at all.
	 */
	struct gdump_error *(*push)(struct source *s, const struct page_sink *to);
	/* Fail unless what read() does not look at agrees: cheap, as it is called for each
	 * dump that is converted.  @to: what may be wrong then, sorted.  May be NULL.
	 */
	struct gdump_error *(*verify)(struct source *s, struct damage *to);
	/* Add to @to what may be wrong if these bytes of a file of the source are.  NULL:
	 * all of it.
	 */
	struct gdump_error *(*affected)(struct source *s, const struct bytes *file,
					const struct spans *broken, struct damage *to);
	const struct guest_ops *guest;  /* NULL: it is a file                   */
	const struct encryption_ops *encryption;        /* NULL: memory is plain */
	const struct pv_dump_ops *pv_dump;      /* NULL: it is no protected guest */
	/* Also frees @s; the image is gone by then. */
	void (*close)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	struct image image;
	struct debug debug;
	const char *kernel;             /* while it is opened: which kernel it is about; NULL: by
					 * proof                                */
	bool was_running;               /* it ran when we came                  */
	char run_state[32];             /* what the hypervisor called that; "": unknown */
	char effects[512];              /* see gdump_info                       */
	uint64_t moment_ms;             /* since 1970: when source_pause() chose the moment
					 * of the next dump; 0: not yet         */
	bool resumed_early;                    /* it was resumed before all was read   */
	atomic_bool is_mutable;         /* it may run while we read             */
	atomic_bool in_order;           /* a dump is written: see READ_ASCENDING */
	struct bytes **files;           /* that it was opened from and closes;
					 * an array that is freed with it       */
	size_t num_files;
	struct spans damaged;           /* guest-physical memory that must not be used, sorted:
					 * reading it is GDUMP_ERR_CORRUPT      */
	pthread_mutex_t lock;           /* of a READ_ASCENDING source           */
};

/* Set up the common part; a source calls this first. */
void source_init(struct source *s, const struct source_ops *ops);
/* Note what its open function was given. */
MUST_CHECK struct gdump_error *source_set_files(struct source *s, struct bytes *const *files,
						size_t num);
/* Close, also one whose open failed half-way.  NULL is fine. */
void source_close(struct source *s);

/* Read memory, also what image_clip() has removed; bytes of [paddr, paddr + len) that lie in no range are zero in
 * @buf when at least one lies in one, else it is GDUMP_ERR_NODATA.
 */
MUST_CHECK struct gdump_error *source_read(struct source *s, uint64_t paddr,
					   void *buf, size_t len);
/* Whether all of it is in ranges and in the input: else GDUMP_ERR_NODATA. */
MUST_CHECK struct gdump_error *source_has(struct source *s, uint64_t paddr, size_t len);
MUST_CHECK struct gdump_error *source_scan(struct source *s, uint64_t pfn, size_t num,
					   unsigned char *state, bool holes);
uint64_t source_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state);
/* NULL, or why nothing can be read: the memory is encrypted and there is no key. */
MUST_CHECK struct gdump_error *source_usable(const struct source *s);
/* The same for a dump of @s: the memory of a protected guest, too, can be dumped, but only
 * @whole.
 */
MUST_CHECK struct gdump_error *source_dumpable(const struct source *s, bool whole);
bool source_is_locked(const struct source *s);
/* From now on, what is read of a guest that runs until it is dumped is of the same moment as the
 * dump; with @cpus, the notes of its CPUs, too.
 */
MUST_CHECK struct gdump_error *source_pause(struct source *s, bool cpus);
/* Resume a guest that we paused; nothing to do is no error. */
MUST_CHECK struct gdump_error *source_resume(struct source *s);
/* See struct guest_ops; a file is never either. */
MUST_CHECK struct gdump_error *source_overdue(struct source *s, uint64_t progress);
MUST_CHECK struct gdump_error *source_torn(struct source *s);
/* A dump of @s begins: what to write, and the sections after it (NULL: none).  Memory of a
 * protected guest can be read from here on, and source_end() is due.
 */
MUST_CHECK struct gdump_error *source_begin(struct source *s, const struct image **image,
					    const struct pv_dump_section **sections);
/* The dump is over.  @resume: also resume a guest that was needed until now. */
MUST_CHECK struct gdump_error *source_end(struct source *s, bool resume);
const void *source_borrow(struct source *s, uint64_t paddr, size_t len);
/* See struct source_ops; false if the source has no stored pages. */
bool source_stored(struct source *s, uint64_t pfn, size_t num, uint32_t flag, void *buf,
		   struct stored_page *ret);
/* See struct source_ops. */
MUST_CHECK struct gdump_error *source_affected(struct source *s, const struct bytes *file,
					       const struct spans *broken, struct damage *to);

static inline void source_cleanup(struct source **s)
{
	source_close(*s);
}
#define CLEANUP_SOURCE __attribute__((__cleanup__(source_cleanup)))

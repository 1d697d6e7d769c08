/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * source.h - where memory comes from: a dump file or a running guest
 *
 * A source embeds struct source as its first member, fills image and ops, and
 * is read-only after open: every function below may be called from many
 * threads at once, except on a .serial source, where source_read() lets one in
 * at a time and asks for ascending addresses only.
 */
#pragma once

#include <pthread.h>

#include "../util/debug.h"
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

/* Whoever takes pages in whatever order they come. */
struct page_taker {
	/* A page of memory; @data NULL: it is zero.  One that came already is
	 * passed over.
	 */
	struct gdump_error *(*page)(void *arg, uint64_t pfn, const void *data);
	/* Whether page @pfn is wanted, and did not come yet. */
	bool (*wants)(void *arg, uint64_t pfn);
	/* Where *@num pages may be read to that are given next, so that page() need
	 * not copy them.  NULL: who gives many now is kept waiting.
	 */
	void *(*room)(void *arg, size_t *num);
	/* Whether nobody wants any more; to be asked while waiting. */
	bool (*stopped)(void *arg);
	void *arg;
};

/* What a dump of some guests has beside memory and notes, and what can be had only when
 * all memory has been read: a section of an ELF file.
 */
struct dump_section {
	const char *name;
	uint64_t size;
};

enum { SECTION_PIECE = 1 << 20 };       /* fetch() is asked for no more         */

/* A dump of a guest whose memory makes sense only as a whole.  From begin on, it can be
 * read, and end() is due, whatever happens; it is called once.
 */
struct dump_ops {
	/* @image: what to write; it and @sections are there until end(). */
	struct gdump_error *(*begin)(struct source *s, const struct image **image);
	const struct dump_section *sections; /* ends with a NULL name; sizes are known
					 * after begin()                        */
	/* [off, off + len) of a section: all of them, in ascending order */
	struct gdump_error *(*fetch)(struct source *s, size_t section, uint64_t off,
				     void *buf, size_t len);
	struct gdump_error *(*end)(struct source *s);
};

struct source_ops {
	const char *name;
	bool serial;
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
	 * back to back in @buf, which has room for @num whole pages.  An error
	 * where one is compressed by another codec than that of @flag (kdump_flag),
	 * or is not good, so far as the source looks.  NULL: the input holds no
	 * pages by themselves.
	 */
	struct gdump_error *(*stored)(struct source *s, uint64_t pfn, size_t num, uint32_t flag,
				      void *buf, struct stored_page *ret);
	/* A guest that runs until it is pushed: stop it now, so that what is read
	 * from here on is of the same moment as what will be pushed.  NULL: it is
	 * so anyway.
	 */
	struct gdump_error *(*hold)(struct source *s);
	/* Instead of being read page by page, give all pages in an order of its
	 * own, on the calling thread, which is another than the one that opened
	 * the source but alone with it.  Once; memory is read() before, if at
	 * all.  NULL: this source is read.
	 */
	struct gdump_error *(*push)(struct source *s, const struct page_taker *to);
	/* Read everything that read() will not touch: for gdump_verify().  May be
	 * NULL.
	 */
	struct gdump_error *(*verify)(struct source *s);
	/* Of encrypted memory; all NULL where none is.  An error if it cannot be
	 * read, which says what would help.
	 */
	struct gdump_error *(*usable)(const struct source *s);
	/* Take opt->key_file: the image changes, and read() works from now on. */
	struct gdump_error *(*unlock)(struct source *s, const struct gdump_open_options *opt);
	/* Fill all but .size; works on a locked one too. */
	struct gdump_error *(*protection)(struct source *s, struct gdump_protection *ret);
	/* All has been read: let a guest that we stopped go on.  May be NULL. */
	struct gdump_error *(*resume)(struct source *s);
	/* Microseconds that the guest has been stopped by us.  May be NULL. */
	uint64_t (*paused_us)(const struct source *s);
	/* How long, at most, a guest that is pushed had to wait for us, in
	 * microseconds.  May be NULL.
	 */
	uint64_t (*stalled_us)(const struct source *s);
	/* Also frees @s; the image is gone by then. */
	void (*close)(struct source *s);
};

struct source {
	const struct source_ops *ops;
	struct image image;
	struct debug debug;
	bool is_guest;                  /* a guest, not a file                  */
	bool was_running;               /* it ran when we came                  */
	bool changes;                   /* it may run while we read             */
	struct bytes **files;           /* that it was opened from and closes;
					 * an array that is freed with it       */
	size_t num_files;
	const struct dump_ops *dump;    /* NULL: a dump is nothing special      */
	pthread_mutex_t lock;           /* of a serial source                   */
};

/* Set up the common part; a source calls this first. */
void source_init(struct source *s, const struct source_ops *ops);
/* Note what its open function was given. */
MUST_CHECK struct gdump_error *source_set_files(struct source *s, struct bytes *const *files,
						size_t num);
/* Close, also one whose open failed half-way.  NULL is fine. */
void source_close(struct source *s);

/* Read memory; bytes of [paddr, paddr + len) that lie in no range are zero in
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
bool source_is_locked(const struct source *s);
/* What is read from now on is of the moment of the dump. */
MUST_CHECK struct gdump_error *source_hold(struct source *s);
const void *source_borrow(struct source *s, uint64_t paddr, size_t len);

static inline void source_cleanup(struct source **s)
{
	source_close(*s);
}
#define CLEANUP_SOURCE __attribute__((__cleanup__(source_cleanup)))

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * open.c - open a dump or a guest by its name
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arch/arch.h"
#include "args.h"
#include "checksum_view.h"
#include "dump.h"
#include "format/format.h"
#include "format/ranges.h"
#include "kernel/choose_vmcoreinfo.h"
#include "kernel/uts.h"
#include "live/live.h"
#include "metadata.h"
#include "net/object.h"
#include "write/plan.h"
#include "util/bits.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/warn.h"

enum { HEAD_SIZE = 4096 };

const char *gdump_source_name(size_t i)
{
	const struct guest_scheme *scheme = guest_scheme_at(i);

	return scheme ? scheme->prefix : NULL;
}

struct gdump_error *open_options_take(struct gdump_open_options *to,
				      const struct gdump_open_options *from)
{
	struct gdump_error *err = args_take(to, sizeof(*to), from,
					    ARGS_LEAST(struct gdump_open_options, pause_guest),
					    "gdump_open_options");

	if (!err && (to->live < GDUMP_LIVE_NO || to->live > GDUMP_LIVE_TRY))
		err = error_new(GDUMP_ERR_USAGE,
				"member live: there is no enum gdump_live %d", to->live);
	if (!err && to->strict && !to->key_file)
		err = error_new(GDUMP_ERR_USAGE, "member strict needs a key_file");
	return err;
}

static struct gdump_error *open_unknown_format(const unsigned char *head, size_t len)
{
	char bytes[16] = "";

	if (!len)
		return error_new(GDUMP_ERR_FORMAT, "the file is empty: no dump was written to it");
	if (!memcmp(head, "\x89LZO", 4))
		return error_new(GDUMP_ERR_FORMAT,
				 "this file is compressed with lzop; decompress it first, as in: lzop -dc FILE | guestdump info -");
	for (size_t i = 0; i < MIN(len, (size_t)4); i++)
		snprintf(bytes + 3 * i, 4, " %02x", head[i]);
	return error_new(GDUMP_ERR_FORMAT,
			 "unknown format (the first bytes are%s); \"guestdump list\" shows what can be read",
			 bytes);
}

/* Find the format of @in by its first bytes; @want NULL: any format */
static struct gdump_error *open_probe(struct bytes *in, const struct format *want,
				      const struct format **ret)
{
	unsigned char head[HEAD_SIZE] = { 0 };
	const size_t len = (size_t)MIN(in->size, sizeof(head));
	struct gdump_error *err = bytes_read(in, 0, head, len);
	const struct format *format;

	for (size_t i = 0; !err && (format = format_at(i)); i++) {
		if (format_reads(format) && (!want || want == format) && format->probe(head, len)) {
			*ret = format;
			return NULL;
		}
	}
	for (size_t i = 0; !err && !want && (format = format_at(i)); i++) {
		if (format->recognizes && format->recognizes(in)) {
			*ret = format;
			return NULL;
		}
	}
	if (!err && want && want->by_name) {
		*ret = want;
		return NULL;
	}
	if (!err && want)
		return error_new(GDUMP_ERR_FORMAT, "the file is not of format %s", want->name);
	return err ? err : open_unknown_format(head, len);
}

static struct bytes_spool open_spool(const struct gdump_open_options *opt)
{
	return (struct bytes_spool){
		.dir = opt->spool_dir, .progress = opt->progress,
		.progress_arg = opt->progress_arg,
	};
}

static bool open_is_dump(const unsigned char *head, size_t len)
{
	const struct format *format;

	for (size_t i = 0; (format = format_at(i)); i++) {
		if (format_reads(format) && format->probe(head, len))
			return true;
	}
	return false;
}

/* If @in is compressed, or a tar archive, what is in it.  Owns @in from now on. */
static struct gdump_error *open_contents(struct bytes *in, const struct gdump_open_options *opt,
					 struct bytes **ret)
{
	const struct bytes_spool spool = open_spool(opt);
	const struct debug debug = debug_of(opt);
	CLEANUP_BYTES struct bytes *plain = in;
	const char *how = NULL;
	bool is_tar = false;
	struct gdump_error *err = bytes_unwrap(in, &spool, &how, &plain);

	if (!err && bytes_is_tar(plain)) {
		is_tar = true;
		err = bytes_tar_open(plain, open_is_dump, &plain);
	}
	if (err)
		return err;
	snprintf(plain->wrapping, sizeof(plain->wrapping), "%s%s%s",
		 is_tar ? ", in a tar archive" : "", how ? ", compressed with " : "",
		 how ? how : "");
	if (how)
		debug_log(&debug, GDUMP_DEBUG_STEP,
			  "the file was compressed with %s: its contents, of %" PRIu64 " bytes, were copied to %s",
			  how, plain->size, opt->spool_dir);
	*ret = TAKE_PTR(plain);
	return NULL;
}

static struct gdump_error *open_bytes(const char *path, const struct gdump_open_options *opt,
				      struct bytes **ret)
{
	const struct bytes_spool spool = open_spool(opt);

	if (object_is_name(path))
		return bytes_object_open(path, opt, NULL, ret);
	return bytes_file_open(path, &spool, ret);
}

bool gdump_needs_copy(const char *where)
{
	struct stat st;
	bool ret;
	int fd;

	if (guest_scheme_of(where) || stat(where, &st) || !S_ISREG(st.st_mode))
		return false;
	fd = open(where, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ret = fd >= 0 && bytes_is_wrapped(fd);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Find the format of @in; @ret: the same bytes, no longer flattened.  Owns @in from now on. */
static struct gdump_error *open_plain(struct bytes *in, const struct gdump_open_options *opt,
				      const struct format **format, struct bytes **ret)
{
	const struct debug debug = debug_of(opt);
	CLEANUP_BYTES struct bytes *plain = in;
	struct gdump_error *err = bytes_flat_open(in, &plain);

	if (!err)
		err = open_probe(plain, *format, format);
	if (err)
		return err;
	debug_log(&debug, GDUMP_DEBUG_STEP, "the %s of %" PRIu64 " bytes has the format %s",
		  plain == in ? "file" : "flattened file", plain->size, (*format)->name);
	if (plain->truncated)
		warn_caller(opt, "the flattened file has no end mark, so it is incomplete");
	err = checksum_view_open(plain, ret);
	if (err)
		return err;
	if (*ret != in)
		memcpy((*ret)->wrapping, in->wrapping, sizeof(in->wrapping));
	plain = NULL;
	return NULL;
}

/* The format that the caller names, or NULL. */
static struct gdump_error *open_named_format(const struct gdump_open_options *opt,
					     const struct format **ret)
{
	const char *codec;

	*ret = opt->format ? format_find(opt->format, &codec) : NULL;
	if (opt->format && (!*ret || !format_reads(*ret)))
		return error_new(GDUMP_ERR_USAGE,
				 "format '%s' cannot be read; \"guestdump list\" shows what can",
				 opt->format);
	if (*ret && opt->num_extents && !(*ret)->open_at)
		return error_new(GDUMP_ERR_USAGE,
				 "files of format %s contain their ranges; do not pass any",
				 (*ret)->name);
	return NULL;
}

/* The ranges that are next to an object.  A URL with a query leads to nothing but that object. */
static struct gdump_error *open_object_ranges(const char *where, const struct gdump_open_options *opt,
					      struct ranges *ret, bool *found)
{
	CLEANUP_FREE char *name = ranges_path(where);
	CLEANUP_BYTES struct bytes *in = NULL;
	struct gdump_error *err;

	*found = false;
	if (strpbrk(where, "?#"))
		return NULL;
	err = name ? bytes_object_open(name, opt, found, &in) : error_nomem();
	return err || !*found ? err : error_prefix(ranges_read(in, ret), "%s", name);
}

/* Take the ranges from the options, or else from PATH.ranges.  If there are any and @format is
 * NULL, set it to the format whose files do not contain their ranges.
 */
static struct gdump_error *open_find_ranges(const char *path, const struct gdump_open_options *opt,
					    const struct format **format, struct ranges *ret)
{
	struct gdump_error *err = NULL;
	bool found = opt->num_extents;

	if (*format && !(*format)->open_at)
		return NULL;
	if (!found && object_is_name(path))
		err = open_object_ranges(path, opt, ret, &found);
	else if (!found && strcmp(path, "-"))
		err = ranges_load(path, ret, &found);
	for (size_t i = 0; !err && i < opt->num_extents; i++) {
		const struct gdump_extent *p = &opt->extents[i];
		const struct ranges_entry place = { p->start, p->size, p->offset, GDUMP_RANGE_RAM };

		err = ranges_add(ret, &place);
	}
	for (size_t i = 0; found && !*format && format_at(i); i++) {
		if (format_at(i)->open_at)
			*format = format_at(i);
	}
	return err;
}

/* Open one file of a split dump. */
static struct gdump_error *open_part(const char *path, const struct gdump_open_options *opt,
				     const struct format **format, struct bytes **ret)
{
	struct bytes *in;
	struct gdump_error *err = open_bytes(path, opt, &in);

	/* what is read by the name of its format alone may begin with anything */
	if (!err && !(*format && (*format)->by_name))
		err = open_contents(in, opt, &in);
	if (!err)
		err = open_plain(in, opt, format, &in);
	if (err)
		return err;
	*ret = in;
	if (!opt->snapshot || (*format)->open_snapshot)
		return NULL;
	bytes_close(in);
	return error_new(GDUMP_ERR_USAGE, "a file of format %s has no snapshots to choose from",
			 (*format)->name);
}

/* Open the other files of a split dump; @names: theirs and that of the first, for messages. */
static struct gdump_error *open_more_parts(const struct gdump_open_options *opt,
					   const struct format *format, struct bytes **in, char **names)
{
	struct gdump_error *err = names[0] ? NULL : error_nomem();

	for (size_t i = 1; !err && i <= opt->num_parts; i++) {
		const char *where = opt->parts[i - 1];

		names[i] = object_label(where);
		err = names[i] ? error_prefix(open_part(where, opt, &format, &in[i]), "%s", names[i]) :
				 error_nomem();
	}
	return err;
}

/* Open a split dump, of which @first is open; owns that. */
static struct gdump_error *open_split(const char *path, struct bytes *first,
				      const struct gdump_open_options *opt,
				      const struct format *format, struct source **ret)
{
	const size_t num = opt->num_parts + 1;
	CLEANUP_FREE struct bytes **in = calloc(num, sizeof(*in));
	CLEANUP_FREE char **names = calloc(num, sizeof(*names));
	bool opened = false;
	struct gdump_error *err;

	if (!in || !names) {
		bytes_close(first);
		return error_nomem();
	}
	in[0] = first;
	names[0] = object_label(path);
	err = format->open_parts ? open_more_parts(opt, format, in, names) :
	      error_new(GDUMP_ERR_USAGE, "a dump of format %s is one file; pass only that", format->name);
	if (!err) {
		opened = true;
		err = format->open_parts(in, (const char *const *)names, num, ret);
	}
	if (!err)
		err = source_set_files(*ret, in, num);
	for (size_t i = 0; i < num; i++) {
		free(names[i]);
		if (!opened)
			bytes_close(in[i]);
	}
	return err;
}

/* Say what the file was in. */
static void open_add_detail(struct image *image, const char *wrapping)
{
	const size_t at = strlen(image->detail);

	snprintf(image->detail + at, sizeof(image->detail) - at, "%s", wrapping);
}

/* Open a dump that is one file; owns @in from now on. */
static struct gdump_error *open_one(struct bytes *in, const struct gdump_open_options *opt,
				    const struct format *format, struct source **ret)
{
	char wrapping[sizeof(in->wrapping)];
	struct gdump_error *err;

	memcpy(wrapping, in->wrapping, sizeof(wrapping));
	err = opt->snapshot ? format->open_snapshot(in, opt->snapshot, ret) : format->open(in, ret);
	if (err)
		return err;
	open_add_detail(&(*ret)->image, wrapping);
	return source_set_files(*ret, &in, 1);
}

/* Open a dump that is several files of different kinds; owns @in. */
static struct gdump_error *open_set(const char *path, struct bytes *in,
				    const struct gdump_open_options *opt,
				    const struct format *format, struct source **ret)
{
	const struct bytes_spool spool = open_spool(opt);
	const struct companions others = {
		.path = path, .names = opt->parts, .num = opt->num_parts, .spool = &spool,
	};

	return format->open_set(in, &others, ret);
}

/* The file that a dump of several files is recognized by, to be freed, if @path is another one of
 * them or their directory; else NULL
 */
static struct gdump_error *open_main_file(const char *path, const struct format *want, char **ret)
{
	struct gdump_error *err = NULL;
	const struct format *format;

	*ret = NULL;
	for (size_t i = 0; !err && !*ret && (format = format_at(i)); i++) {
		if (format->main_file && (!want || want == format))
			err = format->main_file(path, ret);
	}
	return err;
}

static struct gdump_error *open_ranges(const char *path, const struct gdump_open_options *opt,
				       const struct format *format, const struct ranges *ranges,
				       struct source **ret)
{
	struct bytes *in;
	struct gdump_error *err = open_bytes(path, opt, &in);

	if (err)
		return err;
	/* the first bytes of such a file are guest memory, so they are not probed */
	return ranges->num ? format->open_at(in, ranges, ret) : format->open(in, ret);
}

static struct gdump_error *open_file(const char *where, const struct gdump_open_options *opt,
				     struct source **ret)
{
	CLEANUP_RANGES struct ranges ranges = { 0 };
	CLEANUP_FREE char *main_file = NULL;
	const struct format *format;
	const char *path;
	struct gdump_error *err;
	struct bytes *in;

	err = open_named_format(opt, &format);
	if (!err)
		err = opt->num_extents ? NULL : open_main_file(where, format, &main_file);
	path = main_file ? main_file : where;
	if (!err && !opt->num_parts)
		err = open_find_ranges(path, opt, &format, &ranges);
	if (err)
		return err;
	if (format && format->open_at && !opt->num_parts)
		return open_ranges(path, opt, format, &ranges, ret);
	err = open_part(path, opt, &format, &in);
	if (err)
		return err;
	if (format->open_set)
		return open_set(path, in, opt, format, ret);
	if (opt->num_parts)
		return open_split(path, in, opt, format, ret);
	return open_one(in, opt, format, ret);
}

struct gdump_error *gdump_snapshots(const char *where, const struct gdump_open_options *options,
				    gdump_snapshot_fn *fn, void *arg)
{
	struct gdump_open_options opt;
	const struct format *format;
	struct bytes *in = NULL;
	CLEANUP_FREE char *label = object_label(where);
	struct gdump_error *err = label ? open_options_take(&opt, options) : error_nomem();

	if (!err)
		err = open_named_format(&opt, &format);
	if (err || guest_scheme_of(where))
		return err;
	err = open_bytes(where, &opt, &in);
	if (!err)
		err = open_contents(in, &opt, &in);
	if (!err)
		err = open_plain(in, &opt, &format, &in);
	if (err)
		return error_prefix(err, "%s", label);
	if (format->snapshots)
		err = format->snapshots(in, fn, arg);
	bytes_close(in);
	return error_prefix(err, "%s", label);
}

/* A guest whose scheme is unknown looks like a file that does not exist: explain the error. */
static struct gdump_error *open_explain_missing(const char *where, struct gdump_error *err)
{
	struct gdump_error *unknown = NULL;

	if (err && gdump_error_errno(err) == ENOENT && !object_is_name(where) && access(where, F_OK))
		unknown = guest_name_unknown(where);
	if (!unknown)
		return err;
	gdump_error_destroy(err);
	return unknown;
}

static struct gdump_error *open_source(const char *where, const struct gdump_open_options *opt,
				       struct source **ret)
{
	const struct guest_scheme *scheme = guest_scheme_of(where);

	if (!scheme)
		return open_explain_missing(where, open_file(where, opt, ret));
	if (opt->format || (opt->num_extents && !scheme->takes_ranges) || opt->num_parts ||
	    opt->snapshot)
		return error_new(GDUMP_ERR_USAGE,
				 "this is a running guest, which has no format, ranges, parts or snapshots; pass them for files only");
	return scheme->open(where + strlen(scheme->prefix), opt, ret);
}

static uint64_t open_count_pages(const struct image *image)
{
	uint64_t n = 0;

	for (size_t i = 0; i < image->num_ranges; i++)
		n += div_up(image->ranges[i].size, image->page_size);
	return n;
}

static void open_fill_info(struct gdump *g)
{
	const struct source *s = g->source;
	const struct image *image = &s->image;

	g->info = (struct gdump_info){
		.format = s->ops->name,
		.detail = image->detail,
		.arch = arch_uname(image),
		.page_size = image->page_size,
		.big_endian = image->big,
		.is_64bit = image->is64,
		.incomplete = image->incomplete,
		.num_cpus = image->num_cpus,
		.num_ranges = image->num_ranges,
		.ranges = image->ranges,
		.num_notes = image->num_notes,
		.notes = image->notes,
		.release = image->release[0] ? image->release : NULL,
		.version = image->version[0] ? image->version : NULL,
		.vmcoreinfo = image->vmcoreinfo,
		.vmcoreinfo_size = image->vmcoreinfo_size,
		.phys_base = image->phys_base,
		.num_pages = open_count_pages(image),
		.num_excluded = image->num_absent,
		.dump_level = image->dump_level,
		.is_guest = s->ops->guest,
		.was_running = s->was_running,
		.run_state = s->run_state[0] ? s->run_state : NULL,
		.effects = s->effects[0] ? s->effects : NULL,
		.num_lost_cpus = image->num_lost_cpus,
		.is_locked = source_is_locked(s),
		.live = s->ops->order == READ_PUSHED,
		.metadata = g->metadata_text ? &g->metadata : NULL,
	};
}

static struct gdump_error *open_unlock(struct source *s, const struct gdump_open_options *opt)
{
	if (s->ops->encryption && s->ops->encryption->unlock)
		return s->ops->encryption->unlock(s, opt);
	warn_caller(opt, "the memory is not encrypted: no key is needed");
	return NULL;
}

static struct gdump_error *gdump_create(const char *where, struct gdump **ret)
{
	struct gdump *g = calloc(1, sizeof(*g));

	if (g)
		g->where = object_label(where);
	if (!g || !g->where) {
		free(g);
		return error_nomem();
	}
	*ret = g;
	return NULL;
}

/* After ranges were clipped, fewer pages are absent. */
static struct gdump_error *open_recount_absent(struct source *s)
{
	CLEANUP_PLAN struct gdump_plan *all = NULL;
	struct gdump_error *err;

	if (!s->image.num_absent)
		return NULL;
	err = plan_create(s, &all);
	if (!err)
		s->image.num_absent = gdump_plan_dropped(all, GDUMP_DROP_ABSENT);
	return err;
}

static struct gdump_error *open_clip(struct image *image, uint64_t begin, uint64_t length)
{
	uint64_t from = 0, to = 0;
	struct gdump_error *err;

	for (size_t i = 0; i < image->num_ranges; i++) {
		const struct gdump_range *r = &image->ranges[i];

		from = i ? from : r->start;
		to = r->start + (r->size - 1);
	}
	err = image_clip(image, begin, length);
	if (err || image->num_ranges)
		return err;
	/* do not show the default end */
	if (length >= UINT64_MAX - begin)
		return error_new(GDUMP_ERR_NODATA,
				 "no memory from 0x%" PRIx64 " on: the memory is from 0x%" PRIx64
				 " to 0x%" PRIx64, begin, from, to);
	return error_new(GDUMP_ERR_NODATA,
			 "no memory from 0x%" PRIx64 " to 0x%" PRIx64 ": the memory is from 0x%" PRIx64
			 " to 0x%" PRIx64, begin, begin + (length - 1), from, to);
}

/* Add what is known about a running guest, or read what a dump says; or forget it. */
static struct gdump_error *open_metadata(struct gdump *g, const struct gdump_open_options *opt)
{
	struct source *s = g->source;
	struct gdump_error *err = NULL;

	if (opt->no_metadata)
		return metadata_remove(&s->image);
	if (s->ops->guest && opt->metadata)
		err = metadata_add(s, opt->metadata);
	return err ? err : metadata_read(&s->image, &g->metadata_text, &g->metadata);
}

static void open_log_image(const struct source *s, uint64_t began_us)
{
	const struct image *image = &s->image;

	debug_log(&s->debug, GDUMP_DEBUG_STEP,
		  "the image was opened as %s in %.1f ms: machine %s, pages of %u bytes, %zu range%s, %zu CPU%s, kernel %s",
		  s->ops->name, (double)(clock_us() - began_us) / 1000, arch_uname(image),
		  image->page_size, image->num_ranges, image->num_ranges == 1 ? "" : "s",
		  image->num_cpus, image->num_cpus == 1 ? "" : "s",
		  image->release[0] ? image->release : "unknown");
	for (size_t i = 0; i < image->num_ranges; i++)
		debug_log(&s->debug, GDUMP_DEBUG_DETAIL,
			  "range %zu is 0x%" PRIx64 " to 0x%" PRIx64 ", %s", i, image->ranges[i].start,
			  image->ranges[i].start + (image->ranges[i].size - 1),
			  image->ranges[i].kind == GDUMP_RANGE_RAM ? "RAM" : "device memory");
}

/* The source is open: complete its image and the information about it.  @vmcoreinfo: the paddr
 * that the caller passed, or 0; @began_us: when opening began
 */
static struct gdump_error *gdump_complete(struct gdump *g, const struct gdump_open_options *opt,
					  uint64_t vmcoreinfo, uint64_t began_us)
{
	struct source *s = g->source;
	struct gdump_error *err = NULL;

	s->debug = debug_of(opt);
	s->kernel = opt->kernel;
	if (!source_is_locked(s))
		err = choose_vmcoreinfo(s, vmcoreinfo);
	s->kernel = NULL;
	if (err)
		return err;
	if (s->image.warning[0])
		warn_caller(opt, "%s", s->image.warning);
	image_read_uts(s);
	if (opt->length)
		err = open_clip(&s->image, opt->begin, opt->length);
	if (!err && opt->length)
		err = open_recount_absent(s);
	if (!err)
		err = open_metadata(g, opt);
	if (err)
		return err;
	g->of_one_moment = s->ops->guest && !s->is_mutable;
	open_fill_info(g);
	open_log_image(s, began_us);
	return NULL;
}

struct gdump_error *gdump_open(const char *where, const struct gdump_open_options *options,
			       struct gdump **ret)
{
	struct gdump_open_options opt;
	const uint64_t began_us = clock_us();
	struct gdump *g = NULL;
	struct gdump_error *err = open_options_take(&opt, options);

	if (!err)
		err = gdump_create(where, &g);
	if (err)
		return err;
	err = open_source(where, &opt, &g->source);
	if (!err && opt.key_file)
		err = open_unlock(g->source, &opt);
	if (!err)
		err = gdump_complete(g, &opt, 0, began_us);
	if (err) {
		err = error_prefix(err, "%s", g->where);
		gdump_close(g);
		return err;
	}
	*ret = g;
	return NULL;
}

struct gdump_error *gdump_open_source(const char *where, struct source *source,
				      const struct gdump_open_options *opt, struct gdump **ret)
{
	struct gdump *g = NULL;
	struct gdump_error *err = gdump_create(where, &g);

	if (err) {
		source_close(source);
		return err;
	}
	g->source = source;
	err = gdump_complete(g, opt, 0, clock_us());
	if (err) {
		gdump_close(g);
		return error_prefix(err, "%s", where);
	}
	*ret = g;
	return NULL;
}

/* Refuse kinds of memory of a later library: they must not be dumped as if they were RAM. */
static struct gdump_error *guest_take(struct gdump_guest *to, const struct gdump_guest *from)
{
	struct gdump_error *err = args_take(to, sizeof(*to), from,
					    ARGS_LEAST(struct gdump_guest, name), "gdump_guest");

	if (!err && !to->name)
		to->name = "the guest";
	if (!err && to->memory > GDUMP_MEMORY_PRIVATE)
		err = error_new(GDUMP_ERR_USAGE, "member memory: there is no enum gdump_memory %u",
				to->memory);
	for (size_t i = 0; !err && i < to->num_slots; i++) {
		const struct gdump_slot *slot = &to->slots[i];

		if (slot->kind > GDUMP_RANGE_DEVICE || slot->reserved)
			err = error_new(GDUMP_ERR_USAGE,
					"slot %zu: kind %u with reserved %u is unknown", i,
					slot->kind, slot->reserved);
	}
	return err;
}

struct gdump_error *gdump_open_guest(const struct gdump_guest *desc,
				     const struct gdump_open_options *options, struct gdump **ret)
{
	struct gdump_open_options opt;
	struct gdump_guest guest = { 0 };
	const uint64_t began_us = clock_us();
	struct gdump *g = NULL;
	struct gdump_error *err;

	err = guest_take(&guest, desc);
	if (!err)
		err = open_options_take(&opt, options);
	if (!err)
		err = gdump_create(guest.name, &g);
	if (err)
		return err;
	err = embed_open(&guest, &opt, kvm_ioctl, &g->source);
	if (!err)
		err = gdump_complete(g, &opt, guest.vmcoreinfo, began_us);
	if (err) {
		gdump_close(g);
		return error_prefix(err, "%s", guest.name);
	}
	*ret = g;
	return NULL;
}

void gdump_close(struct gdump *g)
{
	if (!g)
		return;
	source_close(g->source);
	free(g->metadata_text);
	free(g->where);
	free(g);
}

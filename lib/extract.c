/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * extract.c - one process of a guest, as an ELF core; memory by its virtual address
 */
#include <inttypes.h>
#include <stdlib.h>

#include "args.h"
#include "dump.h"
#include "process/process.h"
#include "util/bits.h"
#include "util/cleanup.h"

static struct gdump_error *extract_write(struct process *p, const char *path, bool force,
					 struct gdump_process *result)
{
	CLEANUP_SINK struct sink *sink = NULL;
	struct gdump_error *err = sink_file_create(path, force, &sink);
	uint64_t size;

	if (!err)
		err = process_core_write(p, sink, result, &size);
	return err ? err : sink->ops->finish(sink, size);
}

enum { EXTRACT_PIECE = 1 << 20 };

/* Write [@vaddr, @vaddr + @size) to @sink.  Names the first page that is not there. */
static struct gdump_error *extract_copy(struct walker *w, uint64_t vaddr, uint64_t size,
					struct sink *sink)
{
	CLEANUP_FREE unsigned char *buf = malloc(EXTRACT_PIECE);
	struct gdump_error *err = buf ? NULL : error_nomem();

	for (uint64_t done = 0, len; !err && done < size; done += len) {
		uint64_t paddr;

		if (!walker_translate(w, vaddr + done, &paddr, &len))
			return error_new(GDUMP_ERR_NODATA,
					 "virtual address 0x%" PRIx64 " is not mapped, or was swapped out",
					 vaddr + done);
		len = MIN(MIN(len, size - done), (uint64_t)EXTRACT_PIECE);
		err = source_read(w->source, paddr, buf, (size_t)len);
		if (err)
			return error_prefix(err, "virtual address 0x%" PRIx64 ", guest-physical 0x%" PRIx64,
					    vaddr + done, paddr);
		err = sink_write(sink, done, buf, (size_t)len);
	}
	return err;
}

static struct gdump_error *extract_memory(struct walker *w, const char *where, uint64_t vaddr,
					  uint64_t size, const char *path, bool force)
{
	CLEANUP_SINK struct sink *sink = NULL;
	struct gdump_error *err = sink_file_create(path, force, &sink);

	if (err)
		return err;
	err = extract_copy(w, vaddr, size, sink);
	return err ? error_prefix(err, "%s", where) : sink->ops->finish(sink, size);
}

struct gdump_error *gdump_extract_memory(struct gdump *g, int32_t pid, uint64_t vaddr, uint64_t size,
					 const char *path, bool force)
{
	struct process p = { 0 };
	struct kernel k;
	struct gdump_error *err = source_usable(g->source);

	if (!err && (!size || vaddr > UINT64_MAX - (size - 1)))
		err = error_new(GDUMP_ERR_USAGE, "0x%" PRIx64 " bytes at 0x%" PRIx64 " are no memory",
				size, vaddr);
	if (!err)
		err = kernel_open(g->source, &k);
	if (err)
		return error_prefix(err, "%s", g->where);
	if (pid)
		err = process_open(&k, pid, &p);
	err = err ? error_prefix(err, "%s", g->where) :
		    extract_memory(pid ? &p.walker : &k.walker, g->where, vaddr, size, path, force);
	process_close(&p);
	kernel_close(&k);
	return err;
}

struct gdump_error *gdump_extract_process(struct gdump *g, int32_t pid, const char *path, bool force,
					  struct gdump_process *ret)
{
	struct gdump_process result = { .size = sizeof(result) };
	struct process p = { 0 };
	struct kernel k;
	struct gdump_error *err = args_check(ret, ARGS_LEAST(struct gdump_process, maps), "gdump_process");

	if (!err)
		err = source_usable(g->source);
	if (!err)
		err = kernel_open(g->source, &k);
	if (err)
		return error_prefix(err, "%s", g->where);
	err = process_open(&k, pid, &p);
	err = err ? error_prefix(err, "%s", g->where) : extract_write(&p, path, force, &result);
	process_close(&p);
	kernel_close(&k);
	if (!err)
		args_return(ret, &result, sizeof(result));
	return err;
}

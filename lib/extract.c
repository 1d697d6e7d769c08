/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * extract.c - one process of a guest, as an ELF core
 */
#include "args.h"
#include "dump.h"
#include "process/process.h"

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

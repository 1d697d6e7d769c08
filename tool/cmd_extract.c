/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cmd_extract.c - guestdump extract
 */
#include <inttypes.h>
#include <string.h>

#include "confine.h"
#include "failure.h"
#include "tool.h"

static struct gdump_error *read_process(struct gdump *g, const struct arguments *args, void *to)
{
	return gdump_extract_process(g, (int32_t)args->process, args->output, args->write.force, to);
}

static struct gdump_error *read_memory(struct gdump *g, const struct arguments *args, void *to)
{
	const struct gdump_extent *x = &args->memory.extents[0];

	(void)to;
	return gdump_extract_memory(g, (int32_t)args->process, x->start, x->size, args->output,
				    args->write.force);
}

static int extract_memory(struct arguments *args)
{
	struct gdump_error *err = guarded(args, read_memory, NULL);

	return finish_stdout(err ? fail(err) : EXIT_DONE);
}

static void print_process(const struct gdump_process *p, const struct arguments *args)
{
	printf("process %ld ", args->process);
	print_escaped(p->name, strlen(p->name));
	printf(": %" PRIu64 " mapping%s, %" PRIu64 " thread%s, %s of memory", p->maps, p->maps == 1 ? "" : "s",
	       p->threads, p->threads == 1 ? "" : "s", size_text(p->bytes).text);
	if (p->absent)
		printf("; %s are mapped and not there: never used, swapped out, or omitted",
		       size_text(p->absent).text);
	printf("\n");
	if (p->lost_threads)
		warn("the registers of %" PRIu64 " thread%s were not found, and are zero", p->lost_threads,
		     p->lost_threads == 1 ? "" : "s");
	if (p->lost)
		warn("%s of memory changed while it was read, and are zero", size_text(p->lost).text);
}

int cmd_extract(struct arguments *args)
{
	struct gdump_process p = { .size = sizeof(p) };
	struct gdump_error *err;

	if (!args->process && !args->memory.num)
		return usage_error(args->command, "what is to be extracted? --process PID or --vaddr ADDR:SIZE says it");
	if (!args->output)
		return usage_error(args->command, "the file is missing: --output FILE");
	confine(args, args->words, 1, args->output);
	if (args->memory.num)
		return extract_memory(args);
	err = guarded(args, read_process, &p);
	if (err)
		return finish_stdout(fail(err));
	print_process(&p, args);
	return finish_stdout(p.lost || p.lost_threads ? EXIT_INCOMPLETE : EXIT_DONE);
}

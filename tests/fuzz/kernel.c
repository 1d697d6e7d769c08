/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kernel.c - the memory of a Linux guest: VMCOREINFO, page tables, page structures, log,
 * symbols, types, clock, tasks, stacks and the report
 *
 * The input is a machine with some bytes in its memory; all numbers are little-endian:
 *
 *     16 bits ELF machine, 16 bits flags (enum), 16 bits length of VMCOREINFO, its text;
 *     then pieces: 32 bits address, 16 bits length, bytes
 *
 * as tests/unit/fake_kernel.h keeps its machines.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "arch/arch.h"
#include "fuzz.h"

#include "kernel/early_log.h"
#include "kernel/filter.h"
#include "kernel/find_vmcoreinfo.h"
#include "kernel/identify.h"
#include "kernel/mappings.h"
#include "kernel/printk.h"
#include "kernel/state.h"
#include "kernel/tasks.h"
#include "kernel/uts.h"
#include "process/process.h"
#include "report/report.h"
#include "stacks/stacks_read.h"
#include "write/plan.h"
#include "util/bits.h"
#include "util/cursor.h"

enum { MEMORY = 4 << 20, PAGE = 4096 };

enum {
	IN_MEMORY = 1,          /* VMCOREINFO is to be found there              */
	BIG = 2,
};

static unsigned char memory[MEMORY];
static bool is_dirty[MEMORY / PAGE];

static struct gdump_error *memory_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	(void)s;
	memcpy(buf, memory + paddr, len);
	return NULL;
}

static void memory_close(struct source *s)
{
	free(s);
	for (size_t i = 0; i < MEMORY / PAGE; i++) {
		if (is_dirty[i])
			memset(memory + i * PAGE, 0, PAGE);
		is_dirty[i] = false;
	}
}

static void put_piece(struct cursor *c)
{
	const uint32_t paddr = get_u32(c) % MEMORY;
	const uint32_t room = MEMORY - paddr, want = get_u16(c);
	const size_t len = MIN(want, room);
	const unsigned char *p = cursor_take(c, len);

	if (!p)
		return;
	memcpy(memory + paddr, p, len);
	for (size_t i = paddr / PAGE; len && i <= (paddr + len - 1) / PAGE; i++)
		is_dirty[i] = true;
}

static struct gdump_error *describe(struct image *image, struct cursor *c)
{
	const unsigned int machine = get_u16(c), flags = get_u16(c);
	const size_t len = get_u16(c);
	const unsigned char *info = cursor_take(c, len);
	struct gdump_error *err;

	image->machine = (uint16_t)machine;
	image->is64 = machine != EM_386 && machine != EM_ARM;
	image->big = flags & BIG || machine == EM_S390;
	err = image_add_range(image, 0, MEMORY / 2, GDUMP_RANGE_RAM);
	if (!err)
		err = image_add_range(image, MEMORY / 2 + 16 * PAGE, MEMORY / 2 - 16 * PAGE,
				      GDUMP_RANGE_RAM);
	if (!err && info && !(flags & IN_MEMORY))
		err = image_add_note(image, "VMCOREINFO", 0, info, len);
	while (!c->bad && c->p < c->end)
		put_piece(c);
	return err ? err : image_seal(image);
}

static void look_at_record(void *arg, const struct gdump_log_record *record)
{
	(void)arg;
	fuzz_look(record->text, record->len);
}

static void look_at_task(void *arg, const struct gdump_task *task)
{
	(void)arg;
	fuzz_look(task->name, strlen(task->name) + 1);
}

static void look_at_stack(void *arg, const struct gdump_stack *stack)
{
	(void)arg;
	for (size_t i = 0; i < stack->num_frames; i++) {
		const struct gdump_frame *f = &stack->frames[i];

		if (f->function)
			fuzz_look(f->function, strlen(f->function) + 1);
		if (f->module)
			fuzz_look(f->module, strlen(f->module) + 1);
	}
}

static void look_at_facts(const struct gdump_fact *fact)
{
	for (; fact; fact = fact->next) {
		fuzz_look(fact->name, strlen(fact->name) + 1);
		if (fact->text)
			fuzz_look(fact->text, strlen(fact->text) + 1);
		if (fact->stack)
			look_at_stack(NULL, fact->stack);
		look_at_facts(fact->children);
	}
}

static void look_at_report(struct source *s)
{
	static const struct gdump_report_options options = { .all = true };
	const struct gdump_fact *report = NULL;

	gdump_error_destroy(report_read(s, &options, &report));
	look_at_facts(report);
	gdump_fact_destroy(report);
}

static struct gdump_error *sink_nothing(struct sink *sink, uint64_t off, const void *buf, size_t len)
{
	(void)sink, (void)off;
	fuzz_look(buf, len);
	return NULL;
}

static void look_at_process(struct source *s)
{
	static const struct sink_ops ops = { .write = sink_nothing };
	struct gdump_process result = { .size = sizeof(result) };
	struct sink sink = { .ops = &ops };
	struct process p = { 0 };
	struct gdump_error *err;
	struct kernel k;
	uint64_t size;

	err = kernel_open(s, &k);
	if (err) {
		gdump_error_destroy(err);
		return;
	}
	err = process_open(&k, 1, &p);
	if (!err)
		err = process_core_write(&p, &sink, &result, &size);
	process_close(&p);
	kernel_close(&k);
	gdump_error_destroy(err);
}

static void look_at(struct source *s)
{
	static const struct gdump_stacks_options all = { .which = GDUMP_STACKS_ALL };
	struct gdump_kernel state = { .size = sizeof(state) };
	struct gdump_system system = { .size = sizeof(system) };
	struct mappings maps = { 0 };
	struct gdump_plan *plan = NULL;
	struct gdump_error *err = find_vmcoreinfo(s, 0);

	gdump_error_destroy(err);
	image_read_uts(s);
	gdump_error_destroy(printk_read(s, look_at_record, NULL));
	gdump_error_destroy(early_log_read(s, &system, look_at_record, NULL));
	gdump_error_destroy(identify_system(s, &system));
	gdump_error_destroy(state_read(s, &state));
	gdump_error_destroy(tasks_read(s, look_at_task, NULL));
	gdump_error_destroy(stacks_read(s, &all, look_at_stack, NULL));
	look_at_report(s);
	look_at_process(s);
	err = mappings_find(s, &maps);
	if (!err)
		mappings_deinit(&maps);
	gdump_error_destroy(err);
	err = plan_create(s, &plan);
	if (!err)
		err = filter_plan(plan, s, 31);
	if (plan && plan->kept > plan->num_pages)
		fuzz_die("%llu pages of %llu are kept", (unsigned long long)plan->kept,
			 (unsigned long long)plan->num_pages);
	gdump_plan_destroy(plan);
	gdump_error_destroy(err);
}

void fuzz_kernel(const uint8_t *data, size_t size)
{
	static const struct source_ops ops = { .name = "fuzz", .read = memory_read,
					       .close = memory_close };
	struct cursor c = cursor_init(data, size, false, true);
	struct source *s = calloc(1, sizeof(*s));
	struct gdump_error *err;

	source_init(s, &ops);
	err = describe(&s->image, &c);
	if (!err)
		look_at(s);
	gdump_error_destroy(err);
	source_close(s);
}

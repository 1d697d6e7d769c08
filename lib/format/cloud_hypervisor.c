/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/cloud_hypervisor.c - a snapshot of Cloud Hypervisor: a directory
 *
 *     state.json       a tree of states; since version 39 each is a text of JSON in a string
 *     memory-ranges    memory, one range after the other
 *     config.json      how the guest was started
 *
 * The state of the memory manager says in which order the ranges are in the file, and in a second
 * list where the guest has memory: one must agree with the other.  What is in the second list only
 * is in the file of a zone, which the guest shares, and whose name is in config.json.
 *
 * Facts: Cloud Hypervisor's vmm/src/memory_manager.rs, cpu.rs and vm.rs, vm-migration/src/lib.rs.
 */
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../arch/aarch64_cpu.h"
#include "../util/array.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "cpu_json.h"
#include "format.h"
#include "layout_proof.h"
#include "pieces_source.h"

enum {
	MAX_STATE = 128 << 20, MAX_CONFIG = 4 << 20, MAX_FILES = 64, MAX_RANGES = 4096, MAX_CPUS = 4096,
	AARCH64_KVM_REGS = 864,         /* struct kvm_regs                      */
	MSR_KERNEL_GS_BASE = (int)0xc0000102,
};

/* A range of memory, or a mapping of it */
struct cloud_range {
	uint64_t start, size;
};

struct cloud {
	const struct companions *others;
	char *text, *memory;            /* state.json, and in it that of the memory manager */
	struct json_text root;
	struct bytes *files[MAX_FILES]; /* memory-ranges, and those of zones    */
	size_t num_files;
	struct cloud_range *ranges;
	size_t num_ranges;
	struct image image;             /* until there is a source              */
	struct pieces pieces;
	bool is_short;
};

static bool cloud_probe(const unsigned char *head, size_t len)
{
	const char *const keys[] = { "\"snapshots\"", "\"snapshot_data\"" };
	size_t at = 0;

	while (at < len && memchr(" \t\r\n{", head[at], 5))
		at++;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (len && at && head[0] == '{' && len - at >= strlen(keys[i]) &&
		    !memcmp(head + at, keys[i], strlen(keys[i])))
			return true;
	}
	return false;
}

static struct gdump_error *cloud_read_text(struct bytes *in, uint64_t max, char **ret)
{
	struct gdump_error *err;

	if (in->size > max)
		return error_new(GDUMP_ERR_UNSUPPORTED, "the file has %" PRIu64 " bytes, which is too large",
				 in->size);
	*ret = malloc((size_t)in->size + 1);
	if (!*ret)
		return error_nomem();
	err = bytes_read(in, 0, *ret, (size_t)in->size);
	(*ret)[in->size] = '\0';
	return err;
}

/* The state of a node of the tree, to be freed */
static struct gdump_error *cloud_state(struct json_text node, char **ret)
{
	static const char *const path[] = { "snapshot_data", "state", NULL };
	const struct json_text state = json_text_at(node, path);

	if (!json_text_is_string(state))
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "the states are not text: this snapshot is of a version before 39, or damaged");
	*ret = json_text_string(state);
	return *ret ? NULL : error_nomem();
}

static struct gdump_error *cloud_find_memory(struct cloud *c, struct bytes *in)
{
	static const char *const path[] = { "snapshots", "memory-manager", NULL };
	struct gdump_error *err = cloud_read_text(in, MAX_STATE, &c->text);
	struct json_text node;

	if (err)
		return err;
	c->root = json_text_of(c->text, (size_t)in->size);
	node = json_text_at(c->root, path);
	if (!node.p)
		return error_new(GDUMP_ERR_CORRUPT, "the state has no memory manager");
	return cloud_state(node, &c->memory);
}

/* Numbers @start and @size of an object; both are needed. */
static struct gdump_error *cloud_take_range(struct json_text v, const char *size_key,
					    struct cloud_range *ret)
{
	if (!json_text_u64(json_text_member(v, "gpa"), &ret->start) ||
	    !json_text_u64(json_text_member(v, size_key), &ret->size) || !ret->size ||
	    ret->start > UINT64_MAX - ret->size)
		return error_new(GDUMP_ERR_CORRUPT, "invalid range of memory in the state: %.*s",
				 (int)MIN((size_t)(v.end - v.p), (size_t)80), v.p);
	return NULL;
}

/* Memory of @r begins at @off of the files; what is there of it */
static struct gdump_error *cloud_add_memory(struct cloud *c, const struct cloud_range *r,
					    uint64_t off, uint64_t there)
{
	struct gdump_error *err = image_add_range(&c->image, r->start, r->size, GDUMP_RANGE_RAM);

	c->is_short |= there < r->size;
	if (!err && there)
		err = pieces_add(&c->pieces, r->start, MIN(there, r->size), off);
	return err;
}

static struct gdump_error *cloud_take_ranges(struct cloud *c, struct json_text memory)
{
	static const char *const path[] = { "memory_ranges", "data", NULL };
	const struct json_text list = json_text_at(memory, path);
	const uint64_t size = c->files[0]->size;
	struct json_text v = { 0 };
	struct gdump_error *err = NULL;
	uint64_t off = 0;

	while (!err && json_text_next(list, &v)) {
		struct cloud_range *r;

		if (c->num_ranges == MAX_RANGES)
			return error_new(GDUMP_ERR_CORRUPT, "the state has too many ranges of memory");
		if (!ARRAY_GROW(c->ranges, c->num_ranges))
			return error_nomem();
		r = &c->ranges[c->num_ranges++];
		err = cloud_take_range(v, "length", r);
		if (!err)
			err = cloud_add_memory(c, r, off, off < size ? size - off : 0);
		if (!err && off > UINT64_MAX - r->size)
			err = error_new(GDUMP_ERR_CORRUPT, "the ranges of memory in the state are too large");
		if (!err)
			off += r->size;
	}
	if (!err && off < size)
		err = error_new(GDUMP_ERR_CORRUPT,
				"memory-ranges has 0x%" PRIx64 " bytes, but by the state 0x%" PRIx64,
				size, off);
	return err;
}

static uint64_t cloud_overlap(const struct cloud_range *a, const struct cloud_range *b)
{
	const uint64_t start = MAX(a->start, b->start);
	const uint64_t end = MIN(a->start + a->size, b->start + b->size);

	return start < end ? end - start : 0;
}

/* Zones in files: how they are called in config.json */
static struct gdump_error *cloud_zone_file(struct cloud *c, struct json_text mapping, char **ret)
{
	static const char *const zones_path[] = { "memory", "zones", NULL };
	static const char *const file_path[] = { "memory", "file", NULL };
	const struct json_text id = json_text_member(mapping, "zone_id");
	CLEANUP_BYTES struct bytes *in = NULL;
	CLEANUP_FREE char *text = NULL;
	struct gdump_error *err = companion_find(c->others, "config.json", &in);
	struct json_text config, zone = { 0 }, name;

	if (!err)
		err = cloud_read_text(in, MAX_CONFIG, &text);
	if (err)
		return err;
	config = json_text_of(text, (size_t)in->size);
	name = json_text_at(config, file_path);
	while (json_text_next(json_text_at(config, zones_path), &zone)) {
		const struct json_text other = json_text_member(zone, "id");

		if (id.p && other.p && id.end - id.p == other.end - other.p &&
		    !memcmp(id.p, other.p, (size_t)(id.end - id.p)))
			name = json_text_member(zone, "file");
	}
	*ret = json_text_string(name);
	return *ret ? NULL : error_new(GDUMP_ERR_CORRUPT,
				       "memory is missing from the snapshot, and config.json names no file that has it");
}

static struct gdump_error *cloud_add_zone(struct cloud *c, struct json_text mapping,
					  const struct cloud_range *r)
{
	CLEANUP_FREE char *name = NULL;
	struct gdump_error *err = cloud_zone_file(c, mapping, &name);
	uint64_t off = 0, base = 0;
	struct bytes *in;

	if (!err && c->num_files == MAX_FILES)
		err = error_new(GDUMP_ERR_UNSUPPORTED, "the memory is in too many files");
	if (!err)
		err = companion_find(c->others, name, &c->files[c->num_files]);
	if (err)
		return err;
	in = c->files[c->num_files];
	for (size_t i = 0; i < c->num_files; i++)
		base += c->files[i]->size;
	c->num_files++;
	json_text_u64(json_text_member(mapping, "file_offset"), &off);
	if (!range_fits(off, r->size, in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "%s: the memory at 0x%" PRIx64 " is past the end of the file", name,
				 r->start);
	return cloud_add_memory(c, r, base + off, r->size);
}

/* Where the guest has memory: a part of it that is in no range is in a zone's file, or was not
 * plugged.  @covered: how much of the ranges lies in mappings
 */
static struct gdump_error *cloud_take_mapping(struct cloud *c, struct json_text v, uint64_t *covered)
{
	struct cloud_range r;
	struct gdump_error *err = cloud_take_range(v, "size", &r);
	uint64_t there = 0;

	for (size_t i = 0; !err && i < c->num_ranges; i++)
		there += cloud_overlap(&c->ranges[i], &r);
	*covered += there;
	if (err || there == r.size || json_text_is_true(json_text_member(v, "virtio_mem")))
		return err;
	if (there)
		return error_new(GDUMP_ERR_CORRUPT,
				 "the snapshot has only a part of the memory at 0x%" PRIx64, r.start);
	return cloud_add_zone(c, v, &r);
}

static struct gdump_error *cloud_take_mappings(struct cloud *c, struct json_text memory)
{
	const struct json_text list = json_text_member(memory, "guest_ram_mappings");
	struct json_text v = { 0 };
	uint64_t covered = 0, total = 0;
	struct gdump_error *err = NULL;
	size_t num = 0;

	for (size_t i = 0; i < c->num_ranges; i++)
		total += c->ranges[i].size;
	while (!err && json_text_next(list, &v)) {
		if (num++ == MAX_RANGES)
			return error_new(GDUMP_ERR_CORRUPT, "the state has too many mappings of memory");
		err = cloud_take_mapping(c, v, &covered);
	}
	if (!err && covered != total)
		err = error_new(GDUMP_ERR_CORRUPT,
				"the ranges of memory in the state are not where the guest has memory");
	return err;
}

static struct gdump_error *cloud_read_memory(struct cloud *c)
{
	const struct json_text memory = json_text_of(c->memory, strlen(c->memory));
	struct gdump_error *err = companion_find(c->others, "memory-ranges", &c->files[0]);

	if (err)
		return err;
	c->num_files = 1;
	err = cloud_take_ranges(c, memory);
	if (!err)
		err = cloud_take_mappings(c, memory);
	if (!err && !pieces_sort(&c->pieces))
		err = error_new(GDUMP_ERR_CORRUPT, "two ranges contain the same memory");
	return err;
}

/* CPUs ----------------------------------------------------------------------- */

struct cloud_cpu {
	uint64_t number;
	struct json_text node;
};

static int cloud_compare_cpus(const void *a, const void *b)
{
	const uint64_t x = ((const struct cloud_cpu *)a)->number;
	const uint64_t y = ((const struct cloud_cpu *)b)->number;

	return (x > y) - (x < y);
}

static struct gdump_error *cloud_add_aarch64(struct json_text kvm, size_t n, struct image *image,
					     bool *understood)
{
	unsigned char regs[AARCH64_KVM_REGS];
	struct cursor c = cursor_init(regs, sizeof(regs), false, true);
	struct aarch64_cpu cpu;

	*understood = json_text_bytes(json_text_member(kvm, "core_regs"), regs, sizeof(regs));
	if (!*understood)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(cpu.x); i++)
		cpu.x[i] = get_u64(&c);
	cpu.sp_el0 = get_u64(&c);
	cpu.pc = get_u64(&c);
	cpu.pstate = get_u64(&c);
	cpu.sp_el1 = get_u64(&c);
	image->machine = EM_AARCH64;
	return aarch64_cpu_add_notes(&cpu, n, image);
}

static struct gdump_error *cloud_add_cpu(struct json_text node, size_t n, struct image *image,
					 bool *understood)
{
	CLEANUP_FREE char *text = NULL;
	struct gdump_error *err = cloud_state(node, &text);
	struct json_text cpu, kvm;
	struct x86_cpu x86;

	if (err)
		return err;
	cpu = json_text_of(text, strlen(text));
	kvm = json_text_member(cpu, "Kvm");
	kvm = kvm.p ? kvm : json_text_member(cpu, "Mshv");
	if (json_text_member(kvm, "core_regs").p)
		return cloud_add_aarch64(kvm, n, image, understood);
	*understood = x86_cpu_take_json(&x86, json_text_member(kvm, "regs"),
					json_text_member(kvm, "sregs"));
	if (!*understood)
		return NULL;
	x86.kernel_gs_base = x86_msr_of_json(json_text_member(kvm, "msrs"), (uint32_t)MSR_KERNEL_GS_BASE);
	image->machine = EM_X86_64;
	return x86_cpu_add_notes(&x86, n, image);
}

static struct gdump_error *cloud_list_cpus(const struct cloud *c, struct cloud_cpu **list, size_t *num)
{
	static const char *const path[] = { "snapshots", "cpu-manager", "snapshots", NULL };
	const struct json_text cpus = json_text_at(c->root, path);
	struct json_text key, node = { 0 };

	while (json_text_next_member(cpus, &key, &node)) {
		const struct json_text digits = { key.p + 1, key.end - 1 };
		uint64_t number;

		if (!json_text_u64(digits, &number) || *num == MAX_CPUS)
			continue;
		if (!ARRAY_GROW(*list, *num))
			return error_nomem();
		(*list)[(*num)++] = (struct cloud_cpu){ number, node };
	}
	if (*num)
		qsort(*list, *num, sizeof(**list), cloud_compare_cpus);
	return NULL;
}

static struct gdump_error *cloud_add_cpus(struct cloud *c)
{
	CLEANUP_FREE struct cloud_cpu *list = NULL;
	size_t num = 0;
	struct gdump_error *err = cloud_list_cpus(c, &list, &num);

	for (size_t i = 0; !err && i < num; i++) {
		bool understood = false;

		err = cloud_add_cpu(list[i].node, i, &c->image, &understood);
		c->image.num_lost_cpus += !understood;
	}
	return err;
}

/* ---------------------------------------------------------------------------- */

static const struct source_ops cloud_source_ops = {
	.name = "cloud-hypervisor",
	.has_absent = true,
	.read = pieces_source_read,
	.scan = pieces_source_scan,
	.gap = pieces_source_gap,
	.close = pieces_source_close,
};

static uint16_t cloud_machine(const struct cloud *c)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 0; i < c->num_ranges; i++)
		lowest = MIN(lowest, c->ranges[i].start);
	return !lowest ? EM_X86_64 : lowest == 0x40000000 ? EM_AARCH64 : EM_NONE;
}

static struct gdump_error *cloud_to_source(struct cloud *c, struct source **ret)
{
	struct pieces_source *p;
	struct bytes *in;
	struct gdump_error *err = bytes_join(c->files, c->num_files, &in);

	c->num_files = 0;
	if (err)
		return err;
	p = pieces_source_create(sizeof(*p), &cloud_source_ops, in);
	if (!p)
		return error_nomem();
	p->source.image = c->image;
	p->pieces = c->pieces;
	c->image = (struct image){ 0 };
	c->pieces = (struct pieces){ 0 };
	p->source.image.incomplete = c->is_short;
	if (c->is_short)
		snprintf(p->source.image.warning, sizeof(p->source.image.warning),
			 "the file memory-ranges ends early");
	snprintf(p->source.image.detail, sizeof(p->source.image.detail), "Cloud Hypervisor snapshot");
	err = pieces_source_seal(p);
	if (!err)
		err = layout_proof_check(&p->source);
	return pieces_source_opened(p, err, ret);
}

static void cloud_deinit(struct cloud *c)
{
	for (size_t i = 0; i < c->num_files; i++)
		bytes_close(c->files[i]);
	free(c->text);
	free(c->memory);
	free(c->ranges);
	image_deinit(&c->image);
	pieces_deinit(&c->pieces);
}

static struct gdump_error *cloud_open_set(struct bytes *in, const struct companions *others,
					  struct source **ret)
{
	struct cloud c = { .others = others, .image.is64 = true };
	struct gdump_error *err = cloud_find_memory(&c, in);

	if (!err)
		err = cloud_read_memory(&c);
	if (!err) {
		c.image.machine = cloud_machine(&c);
		err = cloud_add_cpus(&c);
	}
	if (!err)
		err = cloud_to_source(&c, ret);
	bytes_close(in);
	cloud_deinit(&c);
	return error_prefix(err, "Cloud Hypervisor");
}

static struct gdump_error *cloud_main_file(const char *path, char **ret)
{
	return companion_main(path, "state.json", "memory-ranges", ret);
}

const struct format format_cloud_hypervisor = {
	.name = "cloud-hypervisor",
	.summary = "a snapshot of Cloud Hypervisor: its directory, or state.json in it",
	.probe = cloud_probe,
	.open_set = cloud_open_set,
	.main_file = cloud_main_file,
};

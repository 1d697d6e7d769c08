/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_disks.c - block devices, and the requests that they have not answered
 *
 * A request that is with a driver has a tag; rqs[tag] may point to an old request, so the request itself must have that tag, be of
 * this queue and not be idle.  A device without tags, such as one of the device mapper, counts
 * its requests on each CPU.
 *
 * Facts: Linux's block/blk-mq-tag.c and include/linux/blk_types.h.
 */
#include <stdlib.h>

#include "../kernel/state.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "block_device.h"
#include "report.h"

enum { MAX_QUEUES = 1024, MAX_TAGS = 65536, SECTOR = 512 };

static const uint64_t disk_late_ns = 10000000000;

/* Requests that a device has not answered */
struct disk_requests {
	uint64_t num;
	uint64_t began;                 /* when the oldest one did; 0: unknown  */
};

static void disk_take_request(struct report *r, uint64_t queue, uint64_t request, uint64_t tag,
			      struct disk_requests *ret)
{
	struct kernel *k = &r->kernel;
	uint64_t its_queue, state, its_tag, began;

	if (!kernel_member(k, request, "request", "q", &its_queue) || its_queue != queue ||
	    !kernel_member(k, request, "request", "state", &state) || !state ||
	    !kernel_member(k, request, "request", "tag", &its_tag) || its_tag != tag)
		return;
	ret->num++;
	if (kernel_member(k, request, "request", "start_time_ns", &began) && began &&
	    (!ret->began || began < ret->began))
		ret->began = began;
}

static bool disk_take_tags(struct report *r, uint64_t queue, uint64_t tags, struct disk_requests *ret)
{
	const unsigned int word = r->source->image.is64 ? 8 : 4;
	CLEANUP_ERROR struct gdump_error *err = NULL;
	CLEANUP_FREE unsigned char *pointers = NULL;
	uint64_t num, table;

	if (!kernel_member(&r->kernel, tags, "blk_mq_tags", "nr_tags", &num) || num > MAX_TAGS ||
	    !kernel_member(&r->kernel, tags, "blk_mq_tags", "rqs", &table))
		return false;
	err = walker_read_new(&r->kernel.walker, table, num * word, &pointers);
	if (err)
		return false;
	for (uint64_t tag = 0; tag < num; tag++) {
		const uint64_t request = kernel_get(&r->kernel, pointers + tag * word, word);

		if (request)
			disk_take_request(r, queue, request, tag, ret);
	}
	return true;
}

/* False: it has no tags, or they cannot be read. */
static bool disk_read_tags(struct report *r, uint64_t queue, struct disk_requests *ret)
{
	const unsigned int word = r->source->image.is64 ? 8 : 4;
	uint64_t set, num, table, tags;

	if (!kernel_member(&r->kernel, queue, "request_queue", "tag_set", &set) || !set ||
	    !kernel_member(&r->kernel, set, "blk_mq_tag_set", "nr_hw_queues", &num) || num > MAX_QUEUES ||
	    !kernel_member(&r->kernel, set, "blk_mq_tag_set", "tags", &table))
		return false;
	for (uint64_t i = 0; i < num; i++) {
		if (!kernel_word(&r->kernel, table + i * word, &tags) ||
		    (tags && !disk_take_tags(r, queue, tags, ret)))
			return false;
	}
	return true;
}

/* The sum of what the CPUs have counted: a CPU may end what another one began. */
static bool disk_read_counts(struct report *r, uint64_t device, struct disk_requests *ret)
{
	const unsigned int num = kernel_max_cpus(&r->kernel), word = r->source->image.is64 ? 8 : 4;
	const uint64_t offs = kernel_symbol(&r->kernel, "__per_cpu_offset");
	uint64_t stats, off, reads, writes, sum = 0;

	if (!offs || !kernel_member(&r->kernel, device, "block_device", "bd_stats", &stats) || !stats)
		return false;
	for (unsigned int cpu = 0; cpu < num; cpu++) {
		if (!kernel_uses_cpu(&r->kernel, cpu))
			continue;
		if (!kernel_word(&r->kernel, offs + (uint64_t)word * cpu, &off) ||
		    !kernel_member(&r->kernel, stats + off, "disk_stats", "in_flight[0]", &reads) ||
		    !kernel_member(&r->kernel, stats + off, "disk_stats", "in_flight[1]", &writes))
			return false;
		sum += reads + writes;
	}
	ret->num = sum >> (8 * word - 1) ? 0 : sum;
	return true;
}

/* In a running guest, a request may end meanwhile, and its tag be of a new one. */
static bool disk_still_waits(struct report *r, uint64_t queue, uint64_t began)
{
	struct disk_requests again = { 0 };

	return disk_read_tags(r, queue, &again) && again.began == began;
}

static void disk_judge(struct report *r, const char *name, uint64_t queue,
		       const struct disk_requests *requests, uint64_t oldest_ns)
{
	const unsigned long long seconds = oldest_ns / 1000000000;

	if (oldest_ns < disk_late_ns || !disk_still_waits(r, queue, requests->began))
		return;
	verdict_evidence(report_verdict(r, VERDICT_DISK,
					"the disk %s has not answered a request for %llu s", name, seconds),
			 "%llu request%s in flight, and the oldest began %llu s ago",
			 (unsigned long long)requests->num, requests->num == 1 ? " is" : "s are", seconds);
}

static void disk_add_requests(struct report *r, uint64_t device, uint64_t disk, const char *name,
			      struct gdump_fact *to)
{
	struct disk_requests requests = { 0 };
	uint64_t queue, now;

	if ((!kernel_member(&r->kernel, disk, "gendisk", "queue", &queue) ||
	     !disk_read_tags(r, queue, &requests)) && !disk_read_counts(r, device, &requests))
		return;
	fact_number(to, "in_flight", requests.num, GDUMP_UNIT_NONE);
	if (!requests.began || !state_monotonic_ns(&r->kernel, &now))
		return;
	now -= MIN(requests.began, now);
	fact_number(to, "oldest", now, GDUMP_UNIT_NS);
	disk_judge(r, name, queue, &requests, now);
}

/* A device without a medium is left out. */
static void disk_add(struct report *r, uint64_t device, struct gdump_fact *list)
{
	char name[DISK_NAME];
	uint64_t disk, partition, sectors;
	struct gdump_fact *group;

	if (!kernel_member(&r->kernel, device, "block_device", "bd_disk", &disk) || !disk ||
	    !block_device_partition(&r->kernel, device, &partition) || partition ||
	    !kernel_member(&r->kernel, device, "block_device", "bd_nr_sectors", &sectors) || !sectors ||
	    !block_device_disk_name(&r->kernel, disk, name))
		return;
	group = fact_group(list, "disk");
	fact_guest_text(group, "name", name, sizeof(name));
	fact_number(group, "size", sectors * SECTOR, GDUMP_UNIT_BYTES);
	disk_add_requests(r, device, disk, name, group);
}

static struct gdump_error *disks_collect(struct report *r, struct gdump_fact *to)
{
	struct block_devices devices;
	uint64_t device;

	if (!block_devices_begin(&r->kernel, &devices))
		return NULL;
	while (block_devices_next(&devices, &device))
		disk_add(r, device, to);
	return devices.walk.broken ? error_new(GDUMP_ERR_CORRUPT, "the list of block devices breaks off")
				   : NULL;
}

const struct section section_disks = {
	.name = "disks",
	.is_list = true,
	.needs_kernel = true,
	.of_moment = true,
	.collect = disks_collect,
};

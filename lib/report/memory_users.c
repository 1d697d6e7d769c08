/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * memory_users.c - the largest users of memory
 *
 * Facts: Linux's include/linux/mm_types_task.h and mm/slub.c.
 */
#include "memory_users.h"

#include <stdio.h>
#include <string.h>

#include "../kernel/list_walk.h"
#include "../util/bits.h"

enum {
	TOP = 10,
	MAX_CACHES = 5000, MAX_NODES = 1024, MAX_ORDER = 16, CACHE_NAME = 64,
	ORDER_SHIFT = 16,               /* in kmem_cache.oo                     */
	FILE_PAGES = 0, ANON_PAGES = 1, SHMEM_PAGES = 3,        /* in mm_struct.rss_stat */
};

/* The largest ones, the largest first */
struct user {
	uint64_t size, objects;
	uint64_t vaddr;                 /* of a task, or a cache                */
};
struct top {
	struct user list[TOP];
	size_t num;
};

static void top_add(struct top *t, const struct user *user)
{
	size_t i = t->num;

	if (i < TOP)
		t->num++;
	else if (t->list[--i].size >= user->size)
		return;
	for (; i && t->list[i - 1].size < user->size; i--)
		t->list[i] = t->list[i - 1];
	t->list[i] = *user;
}

/* Processes ------------------------------------------------------------------ */

/* A counter whose parts on the CPUs are added to it now and then */
static bool users_add_percpu(struct report *r, uint64_t counter, uint64_t *sum)
{
	const unsigned int num = kernel_max_cpus(&r->kernel);
	const uint64_t offs = kernel_symbol(&r->kernel, "__per_cpu_offset");
	const unsigned int word = r->source->image.is64 ? 8 : 4;
	uint64_t parts, off, n;

	if (!kernel_member(&r->kernel, counter, "percpu_counter", "count", &n))
		return false;
	*sum += n;
	if (!offs || !kernel_member(&r->kernel, counter, "percpu_counter", "counters", &parts))
		return true;
	for (unsigned int cpu = 0; cpu < num; cpu++) {
		if (kernel_uses_cpu(&r->kernel, cpu) &&
		    kernel_word(&r->kernel, offs + (uint64_t)word * cpu, &off) &&
		    kernel_uint(&r->kernel, parts + off, 4, &n))
			*sum += (uint64_t)(int64_t)(int32_t)n;
	}
	return true;
}

/* One of the counters of pages was a number up to Linux 6.1. */
static bool users_add_pages(struct report *r, uint64_t mm, unsigned int i, uint64_t *sum)
{
	struct btf_field f;
	char member[32];
	uint64_t n;

	snprintf(member, sizeof(member), "rss_stat.count[%u]", i);
	if (kernel_member(&r->kernel, mm, "mm_struct", member, &n)) {
		*sum += n;
		return true;
	}
	snprintf(member, sizeof(member), "rss_stat[%u]", i);
	return btf_field(&r->kernel.btf, "mm_struct", member, &f) &&
	       users_add_percpu(r, mm + f.off, sum);
}

static bool users_read_rss(struct report *r, const struct gdump_task *task, uint64_t *ret)
{
	uint64_t mm, again, pages = 0;

	if (!kernel_member(&r->kernel, task->vaddr, "task_struct", "mm", &mm) || !mm ||
	    !users_add_pages(r, mm, FILE_PAGES, &pages) ||
	    !users_add_pages(r, mm, ANON_PAGES, &pages) ||
	    !users_add_pages(r, mm, SHMEM_PAGES, &pages))
		return false;
	/* it may have ended meanwhile */
	if (!kernel_member(&r->kernel, task->vaddr, "task_struct", "mm", &again) || again != mm ||
	    !kernel_member(&r->kernel, task->vaddr, "task_struct", "pid", &again) ||
	    again != (uint64_t)task->pid)
		return false;
	*ret = pages * r->source->image.page_size;
	return !(pages >> 48);          /* else it is below zero                */
}

void memory_add_processes(struct report *r, struct gdump_fact *to)
{
	struct top top = { .num = 0 };

	for (size_t i = 0; i < r->num_tasks; i++) {
		struct user user = { .vaddr = r->tasks[i].vaddr };

		if (r->tasks[i].pid == r->tasks[i].tgid && users_read_rss(r, &r->tasks[i], &user.size))
			top_add(&top, &user);
	}
	for (size_t i = 0; i < top.num; i++) {
		const struct gdump_task *task = report_task_at(r, top.list[i].vaddr);
		struct gdump_fact *group = fact_group(to, "process");

		fact_number(group, "pid", (uint64_t)task->pid, GDUMP_UNIT_NONE);
		fact_guest_text(group, "name", task->name, sizeof(task->name));
		fact_number(group, "rss", top.list[i].size, GDUMP_UNIT_BYTES);
	}
}

/* Slabs ---------------------------------------------------------------------- */

/* What a cache has on a NUMA node: in per_node[] since Linux 7.0 */
static bool users_node_of_cache(struct report *r, uint64_t cache, unsigned int i, uint64_t *ret)
{
	char member[32];

	snprintf(member, sizeof(member), "node[%u]", i);
	if (kernel_member(&r->kernel, cache, "kmem_cache", member, ret))
		return true;
	snprintf(member, sizeof(member), "per_node[%u].node", i);
	return kernel_member(&r->kernel, cache, "kmem_cache", member, ret);
}

/* Its slabs have 2^order pages. */
static bool users_read_cache(struct report *r, struct user *user)
{
	const uint64_t variable = kernel_symbol(&r->kernel, "nr_node_ids");
	uint64_t num = 1, order, node, slabs, objects, all = 0;

	if (variable)
		kernel_uint(&r->kernel, variable, 4, &num);
	if (!kernel_member(&r->kernel, user->vaddr, "kmem_cache", "oo", &order) ||
	    order >> ORDER_SHIFT > MAX_ORDER)
		return false;
	/* struct kmem_cache ends with the last node that can be there */
	for (unsigned int i = 0; i < MIN(num, MAX_NODES); i++) {
		if (!users_node_of_cache(r, user->vaddr, i, &node))
			return false;
		if (!node)
			continue;
		if (!kernel_member(&r->kernel, node, "kmem_cache_node", "nr_slabs", &slabs) ||
		    !kernel_member(&r->kernel, node, "kmem_cache_node", "total_objects", &objects))
			return false;
		all += slabs;
		user->objects += objects;
	}
	user->size = (all << (order >> ORDER_SHIFT)) * r->source->image.page_size;
	return !(all >> 32);
}

static void users_add_cache(struct report *r, struct gdump_fact *to, const struct user *user)
{
	struct gdump_fact *group = fact_group(to, "cache");
	char name[CACHE_NAME];
	uint64_t n;

	if (kernel_member(&r->kernel, user->vaddr, "kmem_cache", "name", &n) &&
	    kernel_string(&r->kernel, n, name, sizeof(name)))
		fact_guest_text(group, "name", name, sizeof(name));
	fact_number(group, "size", user->size, GDUMP_UNIT_BYTES);
	fact_number(group, "objects", user->objects, GDUMP_UNIT_NONE);
	if (kernel_member(&r->kernel, user->vaddr, "kmem_cache", "size", &n))
		fact_number(group, "object_size", n, GDUMP_UNIT_BYTES);
}

void memory_add_slabs(struct report *r, struct gdump_fact *to)
{
	const uint64_t head = kernel_symbol(&r->kernel, "slab_caches");
	struct top top = { .num = 0 };
	struct list_walk walk;
	struct btf_field list;
	uint64_t node;

	if (!head || !btf_field(&r->kernel.btf, "kmem_cache", "list", &list))
		return;
	walk = list_walk_begin(&r->kernel, head, MAX_CACHES);
	while (list_walk_next(&walk, &node)) {
		struct user user = { .vaddr = node - list.off };

		if (users_read_cache(r, &user))
			top_add(&top, &user);
	}
	if (walk.broken)
		report_problem(r, section_memory.name, "the list of slab caches breaks off");
	for (size_t i = 0; i < top.num; i++)
		users_add_cache(r, to, &top.list[i]);
}

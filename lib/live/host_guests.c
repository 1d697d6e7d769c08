/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_guests.c - the running guests of this host
 *
 * Theory of operation.  A process runs a guest if it has a descriptor of a virtual machine of KVM,
 * or if it is QEMU, which can do without.  Its command line says what the guest is, as far as it
 * can be known without asking the hypervisor.  Then each scheme of names says by which names it
 * can open that guest.
 */
#include "host_guests.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util/array.h"
#include "../util/cleanup.h"
#include "../util/debug.h"
#include "live.h"

/* One search of the host */
struct host_search {
	int proc;
	struct host_sockets sockets;
	struct debug debug;
	bool ask_state;
	gdump_host_guest_fn *fn;
	void *arg;
};

static void host_guest_deinit(struct host_guest *g)
{
	for (size_t i = 0; i < g->num_ways; i++) {
		free((void *)(uintptr_t)g->ways[i].name);
		free((void *)(uintptr_t)g->ways[i].missing);
	}
	free(g->ways);
}

struct gdump_error *host_guest_add(struct host_guest *g, const struct gdump_guest_way *way)
{
	CLEANUP_FREE char *name = strdup(way->name);
	CLEANUP_FREE char *missing = way->missing ? strdup(way->missing) : NULL;

	if (!name || (way->missing && !missing) || !ARRAY_GROW(g->ways, g->num_ways))
		return error_nomem();
	g->ways[g->num_ways] = *way;
	g->ways[g->num_ways].name = TAKE_PTR(name);
	g->ways[g->num_ways++].missing = TAKE_PTR(missing);
	return NULL;
}

static void host_guest_report(const struct host_search *s, const struct host_guest *g)
{
	const struct gdump_host_guest ret = {
		.name = *g->facts.name ? g->facts.name : NULL,
		.uuid = *g->facts.uuid ? g->facts.uuid : NULL,
		.pid = g->process->pid,
		.program = g->process->program,
		.kind = g->facts.kind,
		.kvm = g->process->kvm,
		.state = g->state,
		.memory = g->facts.memory,
		.num_cpus = g->facts.cpus,
		.num_ways = g->num_ways,
		.ways = g->ways,
	};

	debug_log(&s->debug, GDUMP_DEBUG_STEP, "process %d (%s) runs a guest, %zu names",
		  (int)ret.pid, ret.program, ret.num_ways);
	s->fn(s->arg, &ret);
}

/* Those that work first, each in the order in which they were added */
static void host_guest_sort(struct host_guest *g)
{
	for (size_t i = 1; i < g->num_ways; i++) {
		for (size_t k = i; k && g->ways[k].works && !g->ways[k - 1].works; k--) {
			const struct gdump_guest_way way = g->ways[k];

			g->ways[k] = g->ways[k - 1];
			g->ways[k - 1] = way;
		}
	}
}

static struct gdump_error *host_guest_reach(struct host_search *s, struct host_guest *g)
{
	const struct guest_scheme *scheme;
	struct gdump_error *err = NULL;

	if (host_process_stopped(g->process))
		g->state = GDUMP_GUEST_PAUSED;
	for (size_t i = 0; !err && (scheme = guest_scheme_at(i)); i++) {
		if (scheme->reach)
			err = scheme->reach(g);
	}
	if (err)
		return err;
	host_guest_sort(g);
	host_guest_report(s, g);
	return NULL;
}

/* If the process runs a guest, report it. */
static struct gdump_error *host_search_process(struct host_search *s, const struct host_process *p)
{
	struct host_guest g = { .process = p, .sockets = &s->sockets, .ask_state = s->ask_state };
	struct host_sockets own = { 0 };
	struct gdump_error *err = NULL;
	char path[40];

	if (!vmm_recognize(p, &g.facts))
		return NULL;
	if (host_process_elsewhere(p, "net")) {
		snprintf(path, sizeof(path), "/proc/%d/net/unix", (int)p->pid);
		err = host_sockets_read(path, &own);
		g.sockets = &own;
	}
	if (!err)
		err = host_guest_reach(s, &g);
	host_guest_deinit(&g);
	host_sockets_deinit(&own);
	return err;
}

static struct gdump_error *host_search_all(struct host_search *s, DIR *dir)
{
	struct gdump_error *err = NULL;
	struct dirent *entry;

	while (!err && (entry = readdir(dir))) {
		struct host_process p = { .dir = -1 };

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		err = host_process_read(s->proc, entry->d_name, &p);
		if (!err)
			err = host_search_process(s, &p);
		host_process_deinit(&p);
	}
	return err;
}

struct gdump_error *host_guests_each(const char *root, const struct gdump_guests_options *opt,
				     gdump_host_guest_fn *fn, void *arg)
{
	struct host_search s = {
		.fn = fn, .arg = arg, .ask_state = opt->ask_state,
		.debug = { opt->debug, opt->debug_arg },
	};
	struct gdump_error *err;
	char path[300];
	DIR *dir;

	snprintf(path, sizeof(path), "%.250s/proc/net/unix", root);
	err = host_sockets_read(path, &s.sockets);
	snprintf(path, sizeof(path), "%.250s/proc", root);
	dir = err ? NULL : opendir(path);
	if (!err && !dir)
		err = error_os(errno, "cannot read %s", path);
	if (!err) {
		s.proc = dirfd(dir);
		err = host_search_all(&s, dir);
	}
	if (dir)
		closedir(dir);
	host_sockets_deinit(&s.sockets);
	return err;
}

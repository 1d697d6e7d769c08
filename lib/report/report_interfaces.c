/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_interfaces.c - network interfaces of the first network namespace
 *
 * Some drivers count packets and errors in struct net_device, others in structs of their own,
 * which are unknown: then the counts are left out.
 *
 * Facts: Linux's include/linux/netdevice.h and dev_get_stats() in net/core/dev.c.
 */
#include <stdio.h>

#include "../kernel/list_walk.h"
#include "../util/bits.h"
#include "report.h"

enum { MAX_INTERFACES = 100000, MAX_QUEUES = 4096, NAME = 16, UP = 1 };

/* Whether the counts in struct net_device are the driver's. */
static bool interface_has_counts(struct kernel *k, uint64_t dev)
{
	static const char *const functions[] = { "ndo_get_stats64", "ndo_get_stats" };
	uint64_t ops, fn;

	if (!kernel_member(k, dev, "net_device", "netdev_ops", &ops) || !ops)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		if (!kernel_member(k, ops, "net_device_ops", functions[i], &fn) || fn)
			return false;
	}
	return true;
}

static void interface_add_counts(struct kernel *k, uint64_t dev, struct gdump_fact *to)
{
	static const struct {
		const char *member, *name;
	} counts[] = {
		{ "stats.rx_errors", "rx_errors" }, { "stats.tx_errors", "tx_errors" },
		{ "stats.rx_dropped", "rx_dropped" }, { "stats.tx_dropped", "tx_dropped" },
	};
	uint64_t n;

	for (size_t i = 0; interface_has_counts(k, dev) && i < ARRAY_SIZE(counts); i++) {
		if (kernel_member(k, dev, "net_device", counts[i].member, &n))
			fact_number(to, counts[i].name, n, GDUMP_UNIT_NONE);
	}
}

/* How often the driver did not send what it was given in time */
static void interface_add_timeouts(struct kernel *k, uint64_t dev, struct gdump_fact *to)
{
	const uint32_t size = btf_size(&k->btf, "netdev_queue");
	uint64_t num, queues, n, sum = 0;

	if (!size || !kernel_member(k, dev, "net_device", "num_tx_queues", &num) || num > MAX_QUEUES ||
	    !kernel_member(k, dev, "net_device", "_tx", &queues))
		return;
	for (uint64_t i = 0; i < num; i++) {
		if (!kernel_member(k, queues + i * size, "netdev_queue", "trans_timeout", &n))
			return;
		sum += n;
	}
	fact_number(to, "tx_timeouts", sum, GDUMP_UNIT_NONE);
}

static void interface_add_state(struct kernel *k, uint64_t dev, struct gdump_fact *to)
{
	/* as in RFC 2863 */
	static const char *const states[] = {
		"unknown", "not-present", "down", "lower-layer-down", "testing", "dormant", "up",
	};
	uint64_t flags, state;

	if (kernel_member(k, dev, "net_device", "flags", &flags))
		fact_flag(to, "up", flags & UP);
	if (kernel_member(k, dev, "net_device", "operstate", &state) && state < ARRAY_SIZE(states))
		fact_text(to, "state", "%s", states[state]);
}

/* Its first IPv4 address, as a number in the order of the network */
static void interface_add_address(struct kernel *k, uint64_t dev, struct gdump_fact *to)
{
	uint64_t in, address, prefix;
	struct btf_field f;
	unsigned char ip[4];

	if (!kernel_member(k, dev, "net_device", "ip_ptr", &in) || !in ||
	    !kernel_member(k, in, "in_device", "ifa_list", &address) || !address ||
	    !btf_field(&k->btf, "in_ifaddr", "ifa_local", &f) || f.size != sizeof(ip) ||
	    !kernel_member(k, address, "in_ifaddr", "ifa_prefixlen", &prefix))
		return;
	for (unsigned int i = 0; i < sizeof(ip); i++) {
		uint64_t byte;

		if (!kernel_uint(k, address + f.off + i, 1, &byte))
			return;
		ip[i] = (unsigned char)byte;
	}
	fact_text(to, "address", "%u.%u.%u.%u/%u", ip[0], ip[1], ip[2], ip[3], (unsigned int)prefix);
}

static void interface_add(struct report *r, uint64_t dev, struct gdump_fact *list)
{
	struct kernel *k = &r->kernel;
	struct gdump_fact *group;
	struct btf_field f;
	char name[NAME + 1];
	uint64_t mtu;

	if (!btf_field(&k->btf, "net_device", "name", &f) ||
	    !kernel_string(k, dev + f.off, name, sizeof(name)))
		return;
	group = fact_group(list, "interface");
	fact_guest_text(group, "name", name, sizeof(name));
	interface_add_state(k, dev, group);
	if (kernel_member(k, dev, "net_device", "mtu", &mtu))
		fact_number(group, "mtu", mtu, GDUMP_UNIT_NONE);
	interface_add_address(k, dev, group);
	interface_add_counts(k, dev, group);
	interface_add_timeouts(k, dev, group);
}

static struct gdump_error *interfaces_collect(struct report *r, struct gdump_fact *to)
{
	const uint64_t net = kernel_symbol(&r->kernel, "init_net");
	struct btf_field head, list;
	struct list_walk walk;
	uint64_t node;

	if (!net || !btf_field(&r->kernel.btf, "net", "dev_base_head", &head) ||
	    !btf_field(&r->kernel.btf, "net_device", "dev_list", &list))
		return NULL;
	walk = list_walk_begin(&r->kernel, net + head.off, MAX_INTERFACES);
	while (list_walk_next(&walk, &node))
		interface_add(r, node - list.off, to);
	return walk.broken ? error_new(GDUMP_ERR_CORRUPT, "the list of network interfaces breaks off")
			   : NULL;
}

const struct section section_interfaces = {
	.name = "interfaces",
	.is_list = true,
	.needs_kernel = true,
	.no_verdict = true,
	.collect = interfaces_collect,
};

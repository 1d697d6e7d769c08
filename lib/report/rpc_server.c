/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * rpc_server.c - the server that a call of sunrpc waits for
 *
 * sunrpc is a module as a rule, which has its types with it.
 *
 * Facts: Linux's include/linux/sunrpc/sched.h, clnt.h and xprt.h.
 */
#include "rpc_server.h"

#include <string.h>

#include "../util/bits.h"

/* The types of the module; false: it has none. */
static bool rpc_read_types(struct report *r, struct btf *ret)
{
	const struct modules *modules = r->stacks ? &stacks_text(r->stacks)->modules : NULL;

	for (size_t i = 0; modules && i < modules->num; i++) {
		if (!strcmp(modules->list[i].name, "sunrpc"))
			return module_read_types(&r->kernel, &modules->list[i], ret);
	}
	return false;
}

static bool rpc_follow(struct report *r, const struct btf *types, uint64_t state, char *ret,
		       size_t size)
{
	static const char *const path[][2] = {
		{ "rpc_task", "tk_client" }, { "rpc_clnt", "cl_xprt" }, { "rpc_xprt", "servername" },
	};
	struct btf_field f;
	uint64_t at;

	if (!btf_field(types, "rpc_task", "tk_runstate", &f))
		return false;
	at = state - f.off;
	for (size_t i = 0; i < ARRAY_SIZE(path); i++) {
		if (!btf_field(types, path[i][0], path[i][1], &f) || !f.is_pointer ||
		    !kernel_word(&r->kernel, at + f.off, &at) || !at)
			return false;
	}
	return kernel_string(&r->kernel, at, ret, size) && *ret;
}

bool rpc_server_name(struct report *r, uint64_t state, char *ret, size_t size)
{
	struct btf own;
	bool found;

	if (btf_size(&r->kernel.btf, "rpc_xprt"))
		return rpc_follow(r, &r->kernel.btf, state, ret, size);
	if (!rpc_read_types(r, &own))
		return false;
	found = rpc_follow(r, &own, state, ret, size);
	btf_deinit(&own);
	return found;
}

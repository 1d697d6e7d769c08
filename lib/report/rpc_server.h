/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * rpc_server.h - the server that a call of sunrpc, as those of NFS, waits for
 */
#pragma once

#include "report.h"

/* @state: the address of the call's rpc_task.tk_runstate.  False: the server is unknown. */
bool rpc_server_name(struct report *r, uint64_t state, char *ret, size_t size);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_open.h - connecting to libvirt, for a limited time
 */
#pragma once

#include "libvirt_api.h"

/* domain_connect(), for at most @timeout_ms (0: 30 seconds): then GDUMP_ERR_REMOTE, and a thread
 * remains that waits for the connection.
 */
MUST_CHECK struct gdump_error *domain_open(const char *uri, const char *name,
					   unsigned int timeout_ms, struct domain *ret);

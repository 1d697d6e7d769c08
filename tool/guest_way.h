/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guest_way.h - how a running guest can be opened, and what works then
 */
#pragma once

#include <guestdump.h>
#include <jansson.h>

void guest_way_print(const struct gdump_guest_way *way);
json_t *guest_way_json(const struct gdump_guest_way *way);

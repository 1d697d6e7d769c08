/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * run_state.h - why a guest is not running, in words
 */
#pragma once

#include <guestdump.h>

/* Such as ": its kernel has panicked (guest-panicked)"; "" if the guest was running or the
 * hypervisor does not say why not.
 */
struct run_state_text { char text[160]; };
struct run_state_text run_state_text(const struct gdump_info *info);

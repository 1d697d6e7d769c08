/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_take.h - what guestdump watch keeps of a crash: reports, a dump, what else there is to know
 */
#pragma once

#include "watch_policy.h"

struct take {
	const struct watch_policy *policy;
	struct crash_facts facts;
	bool report_only;               /* the guest has had its dumps for now  */
	int released;                   /* a pipe: a byte is written to it as soon as the guest is
					 * not needed any more                  */
};

/* Take it. This runs in a process of its own, which leads its process group and may end at any
 * moment: what it leaves then is in order (see crash_store.h). Returns its exit status.
 */
int take_crash(const struct take *t);

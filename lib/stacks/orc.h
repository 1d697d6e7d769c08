/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * orc.h - the tables by which an x86-64 kernel unwinds its stacks (CONFIG_UNWINDER_ORC)
 */
#pragma once

#include "../kernel/kernel_text.h"

enum orc_type {
	ORC_UNDEFINED,                  /* the frame cannot be left             */
	ORC_END,                        /* the outermost frame                  */
	ORC_CALL,
	ORC_REGS,                       /* all registers were saved             */
	ORC_REGS_PARTIAL,               /* what the CPU saves was               */
};

/* What an address is relative to */
enum orc_reg {
	ORC_REG_NONE, ORC_REG_PREV_SP, ORC_REG_DX, ORC_REG_DI, ORC_REG_BP, ORC_REG_SP, ORC_REG_R10,
	ORC_REG_R13, ORC_REG_BP_INDIRECT, ORC_REG_SP_INDIRECT, ORC_REG_UNKNOWN,
};

/* How to leave the frame of a function, from one of its instructions on */
struct orc_entry {
	enum orc_type type;
	enum orc_reg sp_reg, bp_reg;
	int16_t sp_off, bp_off;
};

struct orc_table {
	uint64_t vaddr;                 /* of the addresses                     */
	unsigned char *ips, *entries;   /* 4 and 6 bytes for each               */
	size_t num;
};

struct orc {
	const struct text *text;
	bool three_bits, has_signal;    /* of a type; a bit after it            */
	bool late_offset;               /* of sp_indirect: is added to what was read */
	bool new_numbers;               /* of registers                         */
	struct orc_table kernel;
	struct orc_table *modules;      /* as text->modules.list                */
	size_t num_modules;
};

/* Read them.  Only GDUMP_ERR_NOMEM is an error; without tables, nothing will be found. */
MUST_CHECK struct gdump_error *orc_read(struct kernel *k, const struct text *text, struct orc *ret);
void orc_deinit(struct orc *o);

/* The entry for the instruction at @ip; false: there is none. */
bool orc_find(const struct orc *o, uint64_t ip, struct orc_entry *ret);

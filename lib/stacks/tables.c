/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "tables.h"

#include <stdlib.h>
#include <string.h>

#include "../kernel/ksymtab.h"

static struct gdump_error *tables_fill(struct gdump_tables *t, struct source *s)
{
	struct gdump_error *err;

	ksymtab_add(&t->kernel);
	err = stacks_open(&t->kernel, &t->stacks);

	if (err && gdump_error_code(err) != GDUMP_ERR_NOMEM) {
		t->no_stacks = strdup(gdump_error_message(err));
		gdump_error_destroy(err);
		err = t->no_stacks ? NULL : error_nomem();
	}
	if (err)
		return err;
	t->machine = s->image.machine;
	t->vmcoreinfo_size = s->image.vmcoreinfo_size;
	t->vmcoreinfo = malloc(t->vmcoreinfo_size + 1);
	if (!t->vmcoreinfo)
		return error_nomem();
	if (t->vmcoreinfo_size)
		memcpy(t->vmcoreinfo, s->image.vmcoreinfo, t->vmcoreinfo_size);
	return NULL;
}

struct gdump_error *tables_read(struct source *s, struct gdump_tables **ret)
{
	struct gdump_tables *t = calloc(1, sizeof(*t));
	struct gdump_error *err = t ? kernel_open(s, &t->kernel) : error_nomem();

	if (err) {
		free(t);
		return err;
	}
	err = tables_fill(t, s);
	if (err) {
		gdump_tables_destroy(t);
		return err;
	}
	*ret = t;
	return NULL;
}

bool tables_use(struct gdump_tables *t, struct source *s)
{
	const struct image *image = &s->image;

	if (image->machine != t->machine || !image->vmcoreinfo ||
	    image->vmcoreinfo_size != t->vmcoreinfo_size ||
	    memcmp(image->vmcoreinfo, t->vmcoreinfo, t->vmcoreinfo_size))
		return false;
	kernel_move(&t->kernel, s);
	return true;
}

void tables_limit(struct gdump_tables *t, uint64_t deadline_us)
{
	t->kernel.walker.deadline_us = deadline_us;
}

struct gdump_error *tables_choose(struct source *s, struct gdump_tables *have,
				  struct gdump_tables **own, struct gdump_tables **ret)
{
	struct gdump_error *err = NULL;

	*own = NULL;
	*ret = have && tables_use(have, s) ? have : NULL;
	if (!*ret)
		err = tables_read(s, own);
	if (!err && !*ret)
		*ret = *own;
	return err;
}

void gdump_tables_destroy(struct gdump_tables *t)
{
	if (!t)
		return;
	stacks_close(t->stacks);
	kernel_close(&t->kernel);
	free(t->no_stacks);
	free(t->vmcoreinfo);
	free(t);
}

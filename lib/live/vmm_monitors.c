/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * vmm_monitors.c - the QMP monitors on QEMU's command line
 *
 * Facts: qemu-system(1).  "-qmp unix:PATH,server=on" is short for "-chardev socket,id=ID,path=PATH"
 * with "-mon chardev=ID,mode=control".  Instead of path=PATH there may be fd=N, a socket that
 * listens already; libvirt uses that.
 */
#include "vmm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void monitor_add(struct vmm_facts *f, const char *path, int fd)
{
	struct vmm_monitor *m = &f->monitors[f->num_monitors];

	if (f->num_monitors == VMM_MONITORS_MAX)
		return;
	*m = (struct vmm_monitor){ .fd = fd };
	if ((size_t)snprintf(m->path, sizeof(m->path), "%s", path) < sizeof(m->path))
		f->num_monitors++;
}

/* Add the socket that the items of @text describe. */
static void monitor_add_socket(struct vmm_facts *f, const char *text, const char *first)
{
	char path[256], fd[16];

	if (vmm_item(text, "fd", NULL, fd, sizeof(fd)))
		monitor_add(f, "", atoi(fd));
	else if (vmm_item(text, "path", first, path, sizeof(path)))
		monitor_add(f, path, -1);
}

/* Add the "-chardev socket,id=ID,..." of that @id. */
static void monitor_add_chardev(const struct host_process *p, const char *id, struct vmm_facts *f)
{
	char text[256];

	for (size_t i = 1; i + 1 < p->num_words; i++) {
		const char *value = p->words[i + 1];

		if (strcmp(p->words[i] + strspn(p->words[i], "-"), "chardev") ||
		    !vmm_item(value, "backend", "backend", text, sizeof(text)) || strcmp(text, "socket"))
			continue;
		if (vmm_item(value, "id", NULL, text, sizeof(text)) && !strcmp(text, id))
			monitor_add_socket(f, value, NULL);
	}
}

/* "-qmp VALUE" */
static void monitor_add_qmp(const struct host_process *p, const char *value, struct vmm_facts *f)
{
	if (!strncmp(value, "unix:", 5))
		monitor_add_socket(f, value + 5, "path");
	else if (!strncmp(value, "chardev:", 8))
		monitor_add_chardev(p, value + 8, f);
}

void vmm_find_monitors(const struct host_process *p, struct vmm_facts *f)
{
	char text[256];

	for (size_t i = 1; i + 1 < p->num_words; i++) {
		const char *name = p->words[i] + strspn(p->words[i], "-"), *value = p->words[i + 1];

		if (name == p->words[i])
			continue;
		if (!strcmp(name, "qmp") || !strcmp(name, "qmp-pretty"))
			monitor_add_qmp(p, value, f);
		if (!strcmp(name, "mon") && vmm_item(value, "mode", NULL, text, sizeof(text)) &&
		    !strcmp(text, "control") &&
		    vmm_item(value, "chardev", "chardev", text, sizeof(text)))
			monitor_add_chardev(p, text, f);
	}
}

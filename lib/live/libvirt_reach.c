/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * libvirt_reach.c - the name by which libvirt knows a running QEMU
 *
 * libvirt gives each guest a name and a key for its secrets, in a file below the directory of the
 * daemon: that of the system, or that of a user's session.
 */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "host_guests.h"
#include "libvirt_open.h"
#include "rights.h"

enum { ASK_MS = 3000 };                 /* for libvirt to say whether a guest runs */

/* The word of the command line with the key, or NULL */
static const char *libvirt_key_of(const struct host_process *p)
{
	for (size_t i = 1; i < p->num_words; i++) {
		if (strstr(p->words[i], "masterKey0") && strstr(p->words[i], "file"))
			return p->words[i];
	}
	return NULL;
}

/* Why we cannot connect to the daemon; NULL: we can. */
static struct gdump_error *libvirt_refuses(const struct host_process *p, bool session)
{
	static const char *const sockets[] = {
		"/run/libvirt/virtqemud-sock", "/run/libvirt/libvirt-sock",
	};
	struct gdump_error *err = libvirt_loaded();
	int why = ENOENT;

	if (err)
		return err;
	if (host_process_elsewhere(p, "pid"))
		return error_new(GDUMP_ERR_REMOTE, "its libvirt is in a container: run guestdump there");
	for (size_t i = 0; !session && why && i < ARRAY_SIZE(sockets); i++) {
		if (!faccessat(AT_FDCWD, sockets[i], W_OK, AT_EACCESS))
			why = 0;
		else if (errno != ENOENT)
			why = errno;
	}
	if (session || !why)
		return NULL;
	return error_os(why, "cannot connect to libvirt (run as root or as a member of group libvirt)");
}

static void libvirt_ask_state(const char *uri, const char *name, enum gdump_guest_state *state)
{
	struct domain d = { 0 };
	struct gdump_error *err = domain_open(uri, name, ASK_MS, &d);
	int now = 0;

	if (!err)
		err = domain_state(&d, &now);
	domain_close(&d);
	gdump_error_destroy(err);
	if (now == DOMAIN_RUNNING)
		*state = GDUMP_GUEST_RUNNING;
	else if (now == DOMAIN_PAUSED)
		*state = GDUMP_GUEST_PAUSED;
}

/* Fill in what works, and what does not in @text. */
static void libvirt_abilities(const struct host_process *p, struct gdump_guest_way *way, char *text,
			      size_t size)
{
	CLEANUP_FD int mem = openat(p->dir, "mem", O_RDONLY | O_CLOEXEC);
	CLEANUP_ERROR struct gdump_error *err = mem < 0 ? rights_explain(p->pid, errno) : NULL;

	way->works = way->pauses = way->registers = true;
	way->direct = !err;
	if (err)
		snprintf(text, size, "libvirt must read the memory, which is slower: %s",
			 gdump_error_message(err));
	else
		snprintf(text, size, "--live needs a QMP socket that libvirt does not use");
}

struct gdump_error *libvirt_reach(struct host_guest *g)
{
	const char *key = g->facts.kind == GDUMP_GUEST_QEMU ? libvirt_key_of(g->process) : NULL;
	const bool session = key && !strstr(key, "/var/lib/libvirt/");
	char name[320], text[400] = "";
	struct gdump_guest_way way = { .name = name, .missing = text };
	struct gdump_error *err;

	if (!key || !*g->facts.name)
		return NULL;
	snprintf(name, sizeof(name), "libvirt%s:%s", session ? "+qemu:///session" : "",
		 g->facts.name);
	err = libvirt_refuses(g->process, session);
	if (err)
		snprintf(text, sizeof(text), "%s", gdump_error_message(err));
	else
		libvirt_abilities(g->process, &way, text, sizeof(text));
	gdump_error_destroy(err);
	if (way.works && g->ask_state && g->state == GDUMP_GUEST_UNKNOWN)
		libvirt_ask_state(session ? "qemu:///session" : "qemu:///system", g->facts.name, &g->state);
	return host_guest_add(g, &way);
}

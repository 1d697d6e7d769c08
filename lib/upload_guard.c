/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * upload_guard.c - remove the parts of uploads whose process was killed
 *
 * It learns of an upload by the messages of s3.c: "+ID NAME" when it begins, "-ID NAME" when it was
 * completed or discarded.  The end of the socket is the end of the process.
 */
#include <guestdump.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "net/s3.h"
#include "util/cleanup.h"

enum { MOST_UPLOADS = 4, MESSAGE_SIZE = 4096 };

struct upload_list {
	char *texts[MOST_UPLOADS];      /* "ID NAME"; NULL: free                */
};

static void upload_forget(struct upload_list *list, const char *text)
{
	for (size_t i = 0; i < MOST_UPLOADS; i++) {
		if (list->texts[i] && !strcmp(list->texts[i], text))
			free(TAKE_PTR(list->texts[i]));
	}
}

static void upload_remember(struct upload_list *list, const char *text)
{
	size_t i = 0;

	while (i < MOST_UPLOADS && list->texts[i])
		i++;
	if (i < MOST_UPLOADS)
		list->texts[i] = strdup(text);
}

/* Returns whether it is gone. */
static bool upload_discard(char *text, const struct gdump_store_options *store)
{
	const struct debug debug = { 0 };
	char *name = strchr(text, ' ');
	struct s3 *s = NULL;
	struct gdump_error *err;
	bool good;

	if (!name)
		return false;
	*name++ = 0;
	err = s3_open(name, store, NULL, NULL, &debug, &s);
	if (!err)
		err = s3_adopt(s, text);
	if (!err)
		err = s3_discard(s);
	good = !err;
	gdump_error_destroy(err);
	s3_close(s);
	return good;
}

int gdump_upload_guard(int fd, const struct gdump_store_options *store)
{
	struct gdump_store_options opt = *store;
	struct upload_list list = { 0 };
	char text[MESSAGE_SIZE];
	ssize_t len;
	int ret = 0;

	opt.guard_fd = 0;
	while ((len = recv(fd, text, sizeof(text) - 1, 0)) > 0 || (len < 0 && errno == EINTR)) {
		text[len < 0 ? 0 : len] = 0;
		if (*text == '+')
			upload_remember(&list, text + 1);
		else if (*text == '-')
			upload_forget(&list, text + 1);
	}
	for (size_t i = 0; i < MOST_UPLOADS; i++) {
		if (list.texts[i])
			ret |= !upload_discard(list.texts[i], &opt);
		free(list.texts[i]);
	}
	return ret;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash_dir.h"

enum { MAX_DUMPS = 1000 };

const char *crash_state_name(enum crash_state state)
{
	static const char *const names[] = {
		[CRASH_WHOLE] = "whole", [CRASH_IS_PARTIAL] = "partial",
		[CRASH_WRITING] = "writing", [CRASH_LEFT] = "killed",
	};

	return names[state];
}

static enum crash_state state_of(const struct crash_place *p, const json_t *meta)
{
	const char *recorded = json_string_value(json_object_get(meta, "state"));
	bool locked;
	int fd;

	if (strcmp(p->suffix, CRASH_INCOMPLETE))
		return *p->suffix || strcmp(recorded, "whole") ? CRASH_IS_PARTIAL : CRASH_WHOLE;
	locked = crash_is_locked(p, &fd);
	if (fd >= 0)
		close(fd);
	return locked ? CRASH_WRITING : CRASH_LEFT;
}

/* No sum with a limit overflows. */
static int64_t time_in(const json_t *o)
{
	const json_int_t time = json_integer_value(json_object_get(o, "time"));

	return time < 0 || time > INT64_MAX / 4 ? 0 : time;
}

/* Takes @meta. */
static bool entry_fill(struct crash_entry *e, const struct crash_store *s, const struct crash_place *p,
		       json_t *meta)
{
	const size_t len = strlen(p->path) - strlen(p->suffix);
	char *path = strdup(p->path), *name = strndup(p->path, len);
	struct crash_files files;

	if (!path || !name || crash_files_read(p->fd, &files)) {
		free(path);
		free(name);
		json_decref(meta);
		return false;
	}
	*e = (struct crash_entry){ .path = path, .meta = meta, .store = s };
	crash_id_of(name, e->id);
	free(name);
	e->state = state_of(p, meta);
	e->guest = json_string_value(json_object_get(meta, "guest"));
	e->reason = json_string_value(json_object_get(meta, "reason"));
	e->time = time_in(meta);
	e->first = json_is_true(json_object_get(meta, "first"));
	e->has_dump = e->state == CRASH_WRITING && json_is_true(json_object_get(meta, "has_dump"));
	for (size_t i = 0; i < files.num; i++)
		e->has_dump |= crash_file_is_dump(&files.files[i]);
	e->bytes = crash_files_used(&files);
	if (e->state == CRASH_WRITING && json_integer_value(json_object_get(meta, "bytes")) > 0)
		e->reserved = (uint64_t)json_integer_value(json_object_get(meta, "bytes"));
	crash_files_deinit(&files);
	return true;
}

struct list_walk {
	const struct crash_store *store;
	struct crash_list *list;
	bool no_memory;
};

static bool list_place(void *arg, const struct crash_place *p)
{
	struct list_walk *w = arg;
	struct crash_entry *grown;
	json_t *meta;

	if (!strcmp(p->suffix, CRASH_REMOVING))
		return true;
	meta = crash_meta_read(w->store, p->fd);
	if (!meta)
		return true;
	grown = realloc(w->list->entries, (w->list->num + 1) * sizeof(*grown));
	if (!grown) {
		json_decref(meta);
		w->no_memory = true;
		return false;
	}
	w->list->entries = grown;
	w->list->num += entry_fill(&grown[w->list->num], w->store, p, meta);
	return true;
}

static int by_time(const void *a, const void *b)
{
	const struct crash_entry *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return strcmp(x->path, y->path);
}

bool crash_list_add(struct crash_list *list, const struct crash_store *s, struct failure *why)
{
	struct list_walk w = { .store = s, .list = list };

	if (!crash_walk(s, list_place, &w, &list->cut, why))
		return false;
	if (list->num)
		qsort(list->entries, list->num, sizeof(*list->entries), by_time);
	return !w.no_memory || crash_no_memory(why);
}

static void add_dump(json_t *dumps, json_t *seen, const char *id, int64_t time, int64_t since)
{
	if (!id || time <= since || json_object_get(seen, id) || json_array_size(dumps) >= MAX_DUMPS)
		return;
	json_object_set_new(seen, id, json_true());
	json_array_append_new(dumps, json_pack("{s:s, s:I}", "id", id, "time", (json_int_t)time));
}

json_t *crash_dumps_of(const struct crash_list *list, const char *guest, int64_t since)
{
	json_t *dumps = json_array(), *seen = json_object(), *earlier;
	size_t k;

	for (size_t i = 0; i < list->num; i++) {
		const struct crash_entry *e = &list->entries[i];

		if (strcmp(e->guest, guest))
			continue;
		json_array_foreach(json_object_get(e->meta, "earlier_dumps"), k, earlier)
			add_dump(dumps, seen, json_string_value(json_object_get(earlier, "id")), time_in(earlier), since);
		if (e->has_dump)
			add_dump(dumps, seen, e->id, e->time, since);
	}
	json_decref(seen);
	return dumps;
}

void crash_list_deinit(struct crash_list *list)
{
	for (size_t i = 0; i < list->num; i++) {
		free(list->entries[i].path);
		json_decref(list->entries[i].meta);
	}
	free(list->entries);
	*list = (struct crash_list){ 0 };
}

FILE *crash_open_file(const struct crash_entry *e, const char *name)
{
	const char *dir_name;
	const int parent = crash_open_parent(e->store, e->path, &dir_name);
	const int dir = parent < 0 ? -1 : crash_open_dir(e->store, parent, dir_name);
	const int fd = dir < 0 ? -1 : openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	FILE *ret = NULL;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		ret = fdopen(fd, "r");
	if (fd >= 0 && !ret)
		close(fd);
	if (dir >= 0)
		close(dir);
	if (parent >= 0)
		close(parent);
	return ret;
}

static int remove_opened(const struct crash_entry *e, const struct crash_place *p)
{
	json_t *meta = crash_meta_read(e->store, p->fd);
	int lock = -1, rc;

	if (!meta)
		return ENOENT;          /* it was replaced */
	json_decref(meta);
	if (!strcmp(p->suffix, CRASH_INCOMPLETE) && crash_is_locked(p, &lock))
		return EBUSY;
	rc = crash_remove_place(p);
	if (lock >= 0)
		close(lock);
	return rc;
}

bool crash_remove(const struct crash_entry *e, struct failure *why)
{
	struct crash_place p = { .path = e->path };
	int rc = 0;

	p.suffix = e->state == CRASH_WRITING || e->state == CRASH_LEFT ? CRASH_INCOMPLETE : "";
	p.parent = crash_open_parent(e->store, e->path, &p.name);
	p.fd = p.parent < 0 ? -1 : crash_open_dir(e->store, p.parent, p.name);
	rc = p.fd < 0 ? errno : remove_opened(e, &p);
	if (p.fd >= 0)
		close(p.fd);
	if (p.parent >= 0)
		close(p.parent);
	if (!rc) {
		crash_remove_empty(e->store, e->path);
		return true;
	}
	errno = rc;
	if (rc == EBUSY)
		*why = failure_new(FAILURE_CRASH_BUSY, 0, "%s: this crash is being written; it cannot be removed yet", e->path);
	else if (rc == ENOTEMPTY)
		*why = failure_new(FAILURE_SYSTEM, rc, "%s: this crash cannot be removed: there is a directory in it that is "
				   "not of guestdump; move that directory away", e->path);
	else
		crash_failed(why, e->path, "remove this crash");
	return false;
}

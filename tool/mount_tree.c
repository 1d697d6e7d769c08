/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "mount_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "info.h"
#include "json.h"
#include "kernel.h"
#include "report.h"
#include "store.h"

enum { TEXT_LIFE_MS = 2000 };

/* What is in the texts ------------------------------------------------------ */

static struct gdump_error *put_info(struct gdump *g, const struct arguments *args)
{
	struct info_found found = { .g = g, .protection.size = sizeof(found.protection),
				    .ways_json = json_null() };
	struct gdump_error *err = gdump_protection(g, &found.protection);

	if (!err)
		info_print_json(&found, args);
	return err;
}

static struct gdump_error *put_report_text(struct gdump *g, const struct arguments *args)
{
	const struct gdump_report_options opt = { .size = sizeof(opt) };
	const struct gdump_fact *report = NULL;
	struct gdump_error *err = gdump_report(g, &opt, &report);

	if (report)
		report_print_text(report, shown_name(args->words[0]), NULL);
	gdump_fact_destroy(report);
	return err;
}

static struct gdump_error *put_tasks(struct gdump *g, const struct arguments *args)
{
	json_t *o = json_pack("{s:o}", "input", json_string_of(shown_name(args->words[0])));
	struct gdump_error *err = json_guest_kernel(g, true, o);

	if (err)
		json_decref(o);
	else
		json_line(stdout, "tasks", o);
	return err;
}

/* The tree ------------------------------------------------------------------ */

static struct mount_file *tree_add(struct mount_tree *t, enum mount_kind kind, char *path)
{
	struct mount_file *files = path ? realloc(t->files, (t->num_files + 1) * sizeof(*files)) : NULL;

	if (!files) {
		free(path);
		return NULL;
	}
	t->files = files;
	files[t->num_files] = (struct mount_file){ .path = path, .kind = kind };
	return &files[t->num_files++];
}

static bool tree_add_directory(struct mount_tree *t, const char *path)
{
	return tree_add(t, MOUNT_DIRECTORY, strdup(path));
}

static bool tree_add_texts(struct mount_tree *t)
{
	static const struct {
		const char *path;
		struct gdump_error *(*print)(struct gdump *g, const struct arguments *args);
	} texts[] = {
		{ "/dmesg.txt", dmesg_print }, { "/info.json", put_info },
		{ "/report.txt", put_report_text }, { "/tasks.json", put_tasks },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct mount_file *f = tree_add(t, MOUNT_TEXT, strdup(texts[i].path));

		if (!f)
			return false;
		f->print = texts[i].print;
	}
	return true;
}

static bool tree_add_bytes(struct mount_tree *t, char *path, const void *bytes, size_t size)
{
	struct mount_file *f = tree_add(t, MOUNT_BYTES, path);

	if (!f)
		return false;
	f->bytes = bytes;
	f->size = size;
	return true;
}

/* "/notes/012-CORE-0x1-cpu3": the name of a note may contain anything. */
static char *note_path(size_t i, const struct gdump_note *n)
{
	char name[32], cpu[16] = "", *path;
	size_t len = 0;

	for (; n->name[len] && len < sizeof(name) - 1; len++) {
		const char c = n->name[len];

		name[len] = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ? c : '_';
	}
	name[len] = 0;
	if (n->cpu >= 0)
		snprintf(cpu, sizeof(cpu), "-cpu%" PRId32, n->cpu);
	return asprintf(&path, "/notes/%03zu-%s-0x%" PRIx32 "%s", i, name, n->type, cpu) < 0 ? NULL : path;
}

static bool tree_add_notes(struct mount_tree *t, const struct gdump_info *info)
{
	bool good = tree_add_directory(t, "/notes");

	for (size_t i = 0; good && i < info->num_notes; i++)
		good = tree_add_bytes(t, note_path(i, &info->notes[i]), info->notes[i].desc,
				      info->notes[i].size);
	if (good && info->vmcoreinfo)
		good = tree_add_bytes(t, strdup("/vmcoreinfo"), info->vmcoreinfo, info->vmcoreinfo_size);
	return good;
}

static bool tree_add_ranges(struct mount_tree *t, const struct gdump_info *info)
{
	bool good = tree_add_directory(t, "/raw");

	for (size_t i = 0; good && i < info->num_ranges; i++) {
		const struct gdump_range *r = &info->ranges[i];
		struct mount_file *f;
		char *path;

		if (asprintf(&path, "/raw/%016" PRIx64 "-%016" PRIx64, r->start, r->start + (r->size - 1)) < 0)
			return false;
		f = tree_add(t, MOUNT_RANGE, path);
		if (!f)
			return false;
		f->paddr = r->start;
		f->size = r->size;
	}
	return good;
}

static bool tree_add_view(struct mount_tree *t)
{
	struct mount_file *f = tree_add(t, MOUNT_VIEW, strdup(t->live ? "/vmcore.live" : "/vmcore"));

	if (f)
		f->size = gdump_view_size(t->view);
	return f;
}

static int tree_compare(const void *a, const void *b)
{
	const struct mount_file *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static uint64_t tree_time(const struct gdump_info *info)
{
	return !info->is_guest && info->metadata && info->metadata->time_ms ?
		       info->metadata->time_ms / 1000 : (uint64_t)time(NULL);
}

static unsigned int tree_threads(const struct arguments *args)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return args->write.threads ? args->write.threads : cpus > 0 && cpus < 16 ? (unsigned int)cpus : 16;
}

/* From now on, standard output is a file in memory. */
static bool output_to_memory(void)
{
	const int fd = memfd_create("guestdump-text", MFD_CLOEXEC);
	const bool good = fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0;

	if (fd >= 0)
		close(fd);
	return good;
}

struct gdump_error *mount_tree_open(struct mount_tree *t, struct gdump *g, const struct arguments *args)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_error *err;

	*t = (struct mount_tree){ .g = g, .args = args, .live = info->is_guest, .time = tree_time(info) };
	pthread_mutex_init(&t->lock, NULL);
	err = gdump_view_open(g, &t->view);
	if (err)
		return err;
	if (!output_to_memory() || !tree_add_directory(t, "/") || !tree_add_view(t) || !tree_add_texts(t) ||
	    !tree_add_notes(t, info) || !tree_add_ranges(t, info)) {
		say("%s: not enough memory for the list of files", shown_name(args->words[0]));
		exit(EXIT_FAILED);
	}
	qsort(t->files, t->num_files, sizeof(*t->files), tree_compare);
	if (!t->live)
		t->ahead = mount_ahead_start(t->view, tree_threads(args));
	return NULL;
}

void mount_tree_close(struct mount_tree *t)
{
	mount_ahead_stop(t->ahead);
	for (size_t i = 0; i < t->num_files; i++) {
		free(t->files[i].path);
		free(t->files[i].text);
		free(t->files[i].problem);
	}
	free(t->files);
	gdump_view_close(t->view);
	if (t->g)
		pthread_mutex_destroy(&t->lock);
}

struct mount_file *mount_tree_find(const struct mount_tree *t, const char *path)
{
	const struct mount_file key = { .path = (char *)(uintptr_t)path };

	return bsearch(&key, t->files, t->num_files, sizeof(key), tree_compare);
}

/* Texts --------------------------------------------------------------------- */

static uint64_t text_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* What was printed, from the file in memory; NULL: there is no memory for it. */
static struct mount_text *text_take(void)
{
	const off_t len = fflush(stdout) ? -1 : lseek(STDOUT_FILENO, 0, SEEK_CUR);
	struct mount_text *text = len < 0 ? NULL : malloc(sizeof(*text) + (size_t)len);

	if (text) {
		*text = (struct mount_text){ .users = 1, .len = (size_t)len };
		if (pread(STDOUT_FILENO, text->data, text->len, 0) != len) {
			free(text);
			text = NULL;
		}
	}
	clearerr(stdout);
	if (lseek(STDOUT_FILENO, 0, SEEK_SET) || ftruncate(STDOUT_FILENO, 0)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Lock held */
static void text_put(struct mount_text *text)
{
	if (text && !--text->users)
		free(text);
}

/* Lock held: make the text of @f. */
static void text_make(struct mount_tree *t, struct mount_file *f)
{
	struct gdump_error *err = f->print(t->g, t->args);
	struct mount_text *text = text_take();

	text_put(f->text);
	free(f->problem);
	f->text = NULL;
	f->problem = NULL;
	if (err || !text)
		f->problem = strdup(err ? gdump_error_message(err) : "out of memory");
	else
		f->text = text;
	if (err)
		free(text);
	gdump_error_destroy(err);
	f->made_ms = text_now_ms();
}

struct mount_text *mount_text_get(struct mount_tree *t, struct mount_file *f, char **problem)
{
	struct mount_text *text;

	pthread_mutex_lock(&t->lock);
	if (!f->made_ms || (t->live && text_now_ms() - f->made_ms > TEXT_LIFE_MS))
		text_make(t, f);
	text = f->text;
	if (text)
		text->users++;
	*problem = text || !f->problem ? NULL : strdup(f->problem);
	pthread_mutex_unlock(&t->lock);
	return text;
}

void mount_text_release(struct mount_tree *t, struct mount_text *text)
{
	pthread_mutex_lock(&t->lock);
	text_put(text);
	pthread_mutex_unlock(&t->lock);
}

/* Memory -------------------------------------------------------------------- */

/* Pages that were omitted from a dump are zero in its ranges, which have no other way to show it. */
static struct gdump_error *range_read_pages(struct mount_tree *t, uint64_t paddr, unsigned char *buf, size_t len)
{
	const uint32_t page_size = gdump_info(t->g)->page_size;
	struct gdump_error *err = NULL;

	for (size_t n; !err && len; buf += n, paddr += n, len -= n) {
		n = page_size - (size_t)(paddr % page_size);
		n = n < len ? n : len;
		err = gdump_read(t->g, paddr, buf, n);
		if (err && gdump_error_code(err) == GDUMP_ERR_NODATA) {
			gdump_error_destroy(err);
			err = NULL;
			memset(buf, 0, n);
		}
	}
	return err;
}

static struct gdump_error *range_read(struct mount_tree *t, uint64_t paddr, void *buf, size_t len)
{
	struct gdump_error *err = gdump_read(t->g, paddr, buf, len);

	if (!err || gdump_error_code(err) != GDUMP_ERR_NODATA || gdump_info(t->g)->incomplete)
		return err;
	gdump_error_destroy(err);
	return range_read_pages(t, paddr, buf, len);
}

struct gdump_error *mount_tree_read(struct mount_tree *t, const struct mount_file *f,
				    struct mount_reader *reader, uint64_t off, void *buf, size_t len)
{
	if (f->kind == MOUNT_RANGE)
		return range_read(t, f->paddr + off, buf, len);
	if (f->kind == MOUNT_VIEW)
		return t->ahead ? mount_ahead_read(t->ahead, reader, off, buf, len)
				: gdump_view_read(t->view, off, buf, len);
	memcpy(buf, (const char *)f->bytes + off, len);
	return NULL;
}

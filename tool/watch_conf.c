/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_conf.c - the configuration of guestdump watch
 *
 * The files have the form of systemd's: sections, "Key=Value" lines, comments that begin with # or ;,
 * and lines that a backslash continues. Assignments are kept as text, in the order in which they were
 * read, and a policy is made by replaying those that are for the guest.
 */
#include "watch_conf.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "suggest.h"

enum { MAX_CONF = 1 << 20 };

static const struct watch_key {
	const char *name;
	size_t offset, size;            /* in struct watch_policy               */
	parse_fn *parse;
} watch_keys[] = {
#define KEY(key, letter, option, value, member, parse, complete, help) \
	{ key, offsetof(struct watch_policy, member), sizeof(((struct watch_policy *)NULL)->member), parse },
	WATCH_KEYS(KEY)
#undef KEY
};

enum { NUM_KEYS = sizeof(watch_keys) / sizeof(*watch_keys) };

uint64_t watch_key_bit(size_t offset)
{
	for (size_t i = 0; i < NUM_KEYS; i++) {
		if (watch_keys[i].offset == offset)
			return 1ull << i;
	}
	return 0;
}

struct assignment {
	const struct watch_key *key;
	char *pattern;                  /* of guests; NULL: [Watch]             */
	char *value;                    /* "": back to the default              */
};

struct watch_conf {
	struct assignment *all;
	size_t num;
	char **files;
	size_t num_files;
	char **patterns;
	size_t num_patterns;
	const char **stores;
	size_t num_stores;
	const struct watch_policy *options;
	uint64_t given;
};

/* --- reading --- */

enum section { SECTION_NONE, SECTION_WATCH, SECTION_GUEST, SECTION_OTHER };

struct conf_reader {
	struct watch_conf *conf;
	watch_conf_fn *fn;
	void *arg;
	const char *path;
	unsigned int line;
	enum section section;
	char *pattern;                  /* of SECTION_GUEST                     */
	bool bad;
};

static void conf_report(struct conf_reader *r, bool is_error, const char *fmt, ...)
	__attribute__((__format__(__printf__, 3, 4)));

static void conf_report(struct conf_reader *r, bool is_error, const char *fmt, ...)
{
	char place[40] = "", *what = NULL, *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) < 0)
		what = NULL;
	va_end(ap);
	if (r->line)
		snprintf(place, sizeof(place), ":%u", r->line);
	if (!what || asprintf(&text, "%s%s: %s", r->path, place, what) < 0)
		text = NULL;
	r->bad |= is_error;
	if (r->fn)
		r->fn(r->arg, is_error, text ? text : "out of memory");
	free(text);
	free(what);
}

static bool no_memory(struct conf_reader *r)
{
	conf_report(r, true, "out of memory");
	return false;
}

/* Append a copy of @text to an array; the same text only once with @once. */
static bool texts_add(char ***texts, size_t *num, const char *text, bool once)
{
	char **grown, *copy;

	for (size_t i = 0; once && i < *num; i++) {
		if (!strcmp((*texts)[i], text))
			return true;
	}
	grown = realloc(*texts, (*num + 1) * sizeof(*grown));
	copy = strdup(text);
	if (grown)
		*texts = grown;
	if (!grown || !copy) {
		free(copy);
		return false;
	}
	(*texts)[(*num)++] = copy;
	return true;
}

static char *stripped(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	len = strlen(text);
	while (len && strchr(" \t\r", text[len - 1]))
		text[--len] = '\0';
	return text;
}

static void conf_unknown_name(struct conf_reader *r, const char *what, const char *name, const struct suggestion *best)
{
	if (best->name)
		conf_report(r, false, "unknown %s '%s' is ignored; did you mean '%s'?", what, name, best->name);
	else
		conf_report(r, false, "unknown %s '%s' is ignored; guestdump-watch.conf(5) lists them", what, name);
}

static void take_section(struct conf_reader *r, char *text)
{
	const size_t len = strlen(text);
	struct suggestion best;
	char *name;

	free(r->pattern);
	r->pattern = NULL;
	r->section = SECTION_OTHER;
	if (text[len - 1] != ']') {
		conf_report(r, true, "'%s' is not a section: the ] at the end is missing", text);
		return;
	}
	text[len - 1] = '\0';
	name = stripped(text + 1);
	if (!strcmp(name, "Watch")) {
		r->section = SECTION_WATCH;
	} else if (!strncmp(name, "Guest", 5) && (!name[5] || strchr(" \t", name[5]))) {
		name = stripped(name + 5);
		r->section = SECTION_GUEST;
		r->pattern = strdup(name);
		if (!*name)
			conf_report(r, true, "[Guest] needs the name of a guest or a pattern, such as [Guest web-*]");
		else if (!r->pattern || !texts_add(&r->conf->patterns, &r->conf->num_patterns, name, true))
			no_memory(r);
	} else if (strncmp(name, "X-", 2)) {
		best = suggestion_for(name, strcspn(name, " "));
		suggestion_offer(&best, "Watch");
		suggestion_offer(&best, "Guest");
		conf_unknown_name(r, "section", name, &best);
	}
}

static const struct watch_key *find_key(const char *name, struct suggestion *best)
{
	for (size_t i = 0; i < NUM_KEYS; i++) {
		if (!strcmp(watch_keys[i].name, name))
			return &watch_keys[i];
		suggestion_offer(best, watch_keys[i].name);
	}
	return NULL;
}

static bool value_is_good(struct conf_reader *r, const struct watch_key *key, const char *value)
{
	struct watch_policy scratch = watch_policy_default();
	struct bad_value bad;

	if (!*value || key->parse(value, (char *)&scratch + key->offset, &bad))
		return true;
	conf_report(r, true, "%s=%s: '%.*s' is not %s", key->name, value, bad.len, bad.piece, bad.wanted);
	return false;
}

static void keep_assignment(struct conf_reader *r, const struct watch_key *key, const char *value)
{
	struct watch_conf *conf = r->conf;
	struct assignment *grown = realloc(conf->all, (conf->num + 1) * sizeof(*grown)), *a;

	if (!grown) {
		no_memory(r);
		return;
	}
	conf->all = grown;
	a = &grown[conf->num];
	*a = (struct assignment){ key, r->pattern ? strdup(r->pattern) : NULL, strdup(value) };
	if (a->value && (a->pattern || !r->pattern)) {
		conf->num++;
		return;
	}
	free(a->pattern);
	free(a->value);
	no_memory(r);
}

static void take_assignment(struct conf_reader *r, char *text)
{
	char *equals = strchr(text, '='), *name, *value;
	const struct watch_key *key;
	struct suggestion best;

	if (r->section == SECTION_OTHER)
		return;
	if (!equals) {
		conf_report(r, true, "'%s' is neither a section nor KEY=VALUE", text);
		return;
	}
	*equals = '\0';
	name = stripped(text);
	value = stripped(equals + 1);
	if (r->section == SECTION_NONE) {
		conf_report(r, true, "%s= is in no section: put [Watch] above it", name);
		return;
	}
	best = suggestion_for(name, strlen(name));
	key = find_key(name, &best);
	if (!key && strncmp(name, "X-", 2))
		conf_unknown_name(r, "key", name, &best);
	if (key && r->section == SECTION_GUEST && key->offset == offsetof(struct watch_policy, max_parallel))
		conf_report(r, true, "%s= is about all guests: put it into [Watch]", name);
	else if (key && value_is_good(r, key, value))
		keep_assignment(r, key, value);
}

static void take_line(struct conf_reader *r, char *text)
{
	text = stripped(text);
	if (*text == '[')
		take_section(r, text);
	else if (*text)
		take_assignment(r, text);
}

/* Take a file's text line by line; it is changed. */
static void take_text(struct conf_reader *r, char *text)
{
	char *joined = NULL, *next, *longer;
	unsigned int begin = 0, number = 0;

	for (char *line = text; line; line = next) {
		size_t len;
		bool more;

		number++;
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strchr("#;", line[strspn(line, " \t")]) && line[strspn(line, " \t")])
			continue;
		len = strlen(line);
		len -= len && line[len - 1] == '\r';
		more = len && line[len - 1] == '\\';
		line[len - more] = '\0';
		begin = joined ? begin : number;
		if (asprintf(&longer, "%s%s%s", joined ? joined : "", joined ? " " : "", line) < 0)
			longer = NULL;
		free(joined);
		joined = longer;
		r->line = begin;
		if (!joined) {
			no_memory(r);
		} else if (!more || !next) {
			take_line(r, joined);
			free(joined);
			joined = NULL;
		}
	}
	if (joined)
		take_line(r, joined);
	free(joined);
}

/* The text of a file, to be freed; NULL and errno */
static char *file_text(const char *path, size_t *len)
{
	FILE *in = fopen(path, "re");
	char *text = malloc(MAX_CONF + 1);
	struct stat st;
	int rc = in && text ? 0 : errno;

	*len = 0;
	if (!rc && (fstat(fileno(in), &st) || S_ISDIR(st.st_mode)))
		rc = EISDIR;
	if (!rc)
		*len = fread(text, 1, MAX_CONF + 1, in);
	if (!rc && ferror(in))
		rc = EIO;
	if (!rc && *len > MAX_CONF)
		rc = EFBIG;
	if (in)
		fclose(in);
	if (!rc) {
		text[*len] = '\0';
		return text;
	}
	free(text);
	errno = rc;
	return NULL;
}

static void read_file(struct conf_reader *r, const char *path)
{
	size_t len;
	char *text = file_text(path, &len);

	r->path = path;
	r->line = 0;
	r->section = SECTION_NONE;
	if (!text) {
		conf_report(r, true, "cannot read this configuration: %s", strerror(errno));
		return;
	}
	if (!texts_add(&r->conf->files, &r->conf->num_files, path, false))
		no_memory(r);
	if (strlen(text) != len)
		conf_report(r, true, "there is a zero byte in it: this is not a text");
	else
		take_text(r, text);
	free(text);
	free(r->pattern);
	r->pattern = NULL;
}

/* --- which files --- */

static int by_base_name(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;

	return strcmp(strrchr(x, '/'), strrchr(y, '/'));
}

static bool is_known(char *const *paths, size_t num, const char *name)
{
	for (size_t i = 0; i < num; i++) {
		if (!strcmp(strrchr(paths[i], '/') + 1, name))
			return true;
	}
	return false;
}

/* Add the drop-ins in the directory @dir, except those of names that are known already. */
static void find_drop_ins(struct conf_reader *r, const char *dir, char ***paths, size_t *num)
{
	const size_t before = *num;
	DIR *d = opendir(dir);
	struct dirent *e;
	char *path;

	while (d && (e = readdir(d))) {
		const size_t len = strlen(e->d_name);

		if (e->d_name[0] == '.' || len < 6 || strcmp(e->d_name + len - 5, ".conf") ||
		    is_known(*paths, before, e->d_name))
			continue;
		if (asprintf(&path, "%s/%s", dir, e->d_name) < 0)
			path = NULL;
		if (!path || !texts_add(paths, num, path, false))
			no_memory(r);
		free(path);
	}
	if (d)
		closedir(d);
}

/* A link to /dev/null, or an empty file: it only hides others of its name. */
static bool is_mask(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISCHR(st.st_mode);
}

static void read_drop_ins(struct conf_reader *r, char **paths, size_t num)
{
	if (num)
		qsort(paths, num, sizeof(*paths), by_base_name);
	for (size_t i = 0; i < num; i++) {
		if (!is_mask(paths[i]))
			read_file(r, paths[i]);
		free(paths[i]);
	}
	free(paths);
}

static void read_from(struct conf_reader *r, const char *const *dirs)
{
	char **drop_ins = NULL, *path;
	bool have_main = false;
	struct stat st;
	size_t num = 0;

	for (; *dirs; dirs++) {
		if (asprintf(&path, "%s/watch.conf", *dirs) < 0) {
			no_memory(r);
			break;
		}
		if (!have_main && !stat(path, &st)) {
			have_main = true;
			if (!is_mask(path))
				read_file(r, path);
		}
		free(path);
		if (asprintf(&path, "%s/watch.conf.d", *dirs) < 0) {
			no_memory(r);
			break;
		}
		find_drop_ins(r, path, &drop_ins, &num);
		free(path);
	}
	read_drop_ins(r, drop_ins, num);
}

static void read_one(struct conf_reader *r, const char *file)
{
	char **drop_ins = NULL, *dir;
	size_t num = 0;

	read_file(r, file);
	if (asprintf(&dir, "%s.d", file) < 0) {
		no_memory(r);
		return;
	}
	find_drop_ins(r, dir, &drop_ins, &num);
	free(dir);
	read_drop_ins(r, drop_ins, num);
}

/* --- policies --- */

static void copy_key(struct watch_policy *to, const struct watch_policy *from, const struct watch_key *key)
{
	memcpy((char *)to + key->offset, (const char *)from + key->offset, key->size);
}

static void apply(struct watch_policy *p, const struct assignment *a)
{
	const struct watch_policy defaults = watch_policy_default();
	struct bad_value bad;

	if (*a->value)
		a->key->parse(a->value, (char *)p + a->key->offset, &bad);
	else
		copy_key(p, &defaults, a->key);
}

struct watch_policy watch_policy_of(const struct watch_conf *conf, const char *guest)
{
	struct watch_policy p = watch_policy_default();

	for (size_t i = 0; i < conf->num; i++) {
		if (!conf->all[i].pattern)
			apply(&p, &conf->all[i]);
	}
	for (size_t i = 0; guest && i < conf->num; i++) {
		if (conf->all[i].pattern && !fnmatch(conf->all[i].pattern, guest, 0))
			apply(&p, &conf->all[i]);
	}
	for (size_t i = 0; i < NUM_KEYS; i++) {
		if (conf->options && conf->given & 1ull << i)
			copy_key(&p, conf->options, &watch_keys[i]);
	}
	return p;
}

static void find_stores(struct watch_conf *conf)
{
	const char **stores = calloc(conf->num + 1, sizeof(*stores));
	size_t num = 0;

	free(conf->stores);
	conf->stores = stores;
	conf->num_stores = 0;
	if (!stores)
		return;
	stores[num++] = watch_policy_of(conf, NULL).store;
	for (size_t i = 0; i < conf->num && !(conf->options && conf->given & watch_key_bit(offsetof(struct watch_policy, store))); i++) {
		const struct assignment *a = &conf->all[i];
		bool known = !a->pattern || a->key->offset != offsetof(struct watch_policy, store) || !*a->value;

		for (size_t k = 0; k < num && !known; k++)
			known = !strcmp(stores[k], a->value);
		if (!known)
			stores[num++] = a->value;
	}
	conf->num_stores = num;
}

void watch_conf_set_options(struct watch_conf *conf, const struct watch_policy *options, uint64_t given)
{
	conf->options = options;
	conf->given = given;
	find_stores(conf);
}

bool watch_conf_read_dirs(const char *const *dirs, const char *file, watch_conf_fn *fn, void *arg,
			  struct watch_conf **ret)
{
	struct conf_reader r = { .conf = calloc(1, sizeof(*r.conf)), .fn = fn, .arg = arg, .path = "watch.conf" };

	if (!r.conf)
		return no_memory(&r);
	if (file)
		read_one(&r, file);
	else
		read_from(&r, dirs);
	if (r.bad) {
		watch_conf_destroy(r.conf);
		return false;
	}
	find_stores(r.conf);
	*ret = r.conf;
	return true;
}

bool watch_conf_read(const char *file, watch_conf_fn *fn, void *arg, struct watch_conf **ret)
{
	static const char *const dirs[] = { "/etc/guestdump", "/run/guestdump", "/usr/lib/guestdump", NULL };

	return watch_conf_read_dirs(dirs, file, fn, arg, ret);
}

static void texts_free(char **texts, size_t num)
{
	for (size_t i = 0; i < num; i++)
		free(texts[i]);
	free(texts);
}

void watch_conf_destroy(struct watch_conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->num; i++) {
		free(conf->all[i].pattern);
		free(conf->all[i].value);
	}
	free(conf->all);
	texts_free(conf->files, conf->num_files);
	texts_free(conf->patterns, conf->num_patterns);
	free(conf->stores);
	free(conf);
}

const char *watch_conf_file(const struct watch_conf *conf, size_t i)
{
	return i < conf->num_files ? conf->files[i] : NULL;
}

const char *watch_conf_pattern(const struct watch_conf *conf, size_t i)
{
	return i < conf->num_patterns ? conf->patterns[i] : NULL;
}

const char *watch_conf_store(const struct watch_conf *conf, size_t i)
{
	return i < conf->num_stores ? conf->stores[i] : NULL;
}

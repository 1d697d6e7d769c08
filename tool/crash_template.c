/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "crash_template.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "crash_store.h"

enum {
	MAX_NAME = 64,                  /* bytes of a guest's name in a path    */
	MAX_COMPONENT = 200,            /* leaves room for suffixes: file systems have 255 */
	MAX_TEMPLATE = 1024,
};

/* Words of strftime() that never have a slash, a blank or words of a language in them */
static const char time_words[] = "CdFGgHIjmMsSTuUVwWyYz";

static const char *const suffixes[] = { CRASH_INCOMPLETE, CRASH_PARTIAL, CRASH_REMOVING };

static bool template_bad(struct bad_value *bad, const char *piece, size_t len, const char *wanted)
{
	*bad = (struct bad_value){ piece, (int)len, wanted };
	return false;
}

static size_t suffix_length(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		const size_t n = strlen(suffixes[i]);

		if (len >= n && !memcmp(name + len - n, suffixes[i], n))
			return n;
	}
	return 0;
}

static bool template_words_are_good(const char *text, struct bad_value *bad)
{
	for (const char *p = strchr(text, '%'); p; p = strchr(p + 2, '%')) {
		if (!p[1])
			return template_bad(bad, p, 1, "complete; %% is a percent sign");
		if (!strchr("n%", p[1]) && !strchr(time_words, p[1]))
			return template_bad(bad, p, 2, "%n, the guest, or one of date's words such as "
					    "%Y, %m, %d, %F, %H, %M, %S, %T, %s, or %%");
	}
	return true;
}

static bool component_is_good(const char *name, size_t len, struct bad_value *bad)
{
	if (!len)
		return template_bad(bad, name - 1, 2, "allowed: it names no directory");
	if ((len == 1 && *name == '.') || (len == 2 && !memcmp(name, "..", 2)))
		return template_bad(bad, name, len, "the name of a directory");
	if (suffix_length(name, len))
		return template_bad(bad, name, len, "allowed: guestdump uses this suffix itself");
	return len <= MAX_COMPONENT || template_bad(bad, name, len, "a name of at most 200 characters");
}

/* Where the part below the root begins */
static const char *template_below(const char *template)
{
	const size_t fixed = strcspn(template, "%");
	const char *slash = memrchr(template, '/', fixed);

	if (!template[fixed])           /* no word: only the last component */
		slash = memrchr(template, '/', fixed - (template[fixed - 1] == '/'));
	return slash + 1;
}

bool parse_crash_template(const char *text, void *to, struct bad_value *bad)
{
	const size_t len = strlen(text);
	unsigned int depth = 0;

	if (*text != '/' || len > MAX_TEMPLATE)
		return template_bad(bad, text, len, "an absolute path of at most 1024 characters");
	if (strpbrk(text, "\n\t\r"))
		return template_bad(bad, text, len, "a path without control characters");
	if (!template_words_are_good(text, bad))
		return false;
	for (const char *p = text + 1; *p; p += *p == '/') {
		const size_t n = strcspn(p, "/");

		if (!component_is_good(p, n, bad))
			return false;
		p += n;
	}
	if (len == 1 || template_below(text) == text + 1)
		return template_bad(bad, text, len, "below a directory: /DIRECTORY/%n/...");
	for (const char *p = template_below(text); *p; p++)
		depth += *p == '/' && p[1];
	if (depth >= CRASH_DEPTH)
		return template_bad(bad, text, len, "a path with at most 8 directories that depend on words");
	return parse_text(text, to, bad);
}

char *crash_template_root(const char *template)
{
	return strndup(template, (size_t)(template_below(template) - template) - 1);
}

/* The length of the UTF-8 character at @p, or 0; only how many bytes it has is checked. */
static size_t character_length(const char *p)
{
	const unsigned char c = (unsigned char)*p;
	const size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < n; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* Append the name of a guest, which may be hostile. */
static void put_guest(FILE *out, const char *guest)
{
	size_t used = 0, n;

	if (!guest || !*guest)
		guest = "unnamed";
	for (const char *p = guest; *p; p += n ? n : 1) {
		n = character_length(p);
		if (used + (n ? n : 1) > MAX_NAME)
			return;
		if (!n || (n == 1 && ((unsigned char)*p < ' ' || *p == '/' || *p == 0x7f)) ||
		    (p == guest && *p == '.')) {
			putc('_', out);
			used++;
			continue;
		}
		fwrite(p, 1, n, out);
		used += n;
	}
}

static void put_component(FILE *out, const char *name, size_t len, const char *guest, const struct tm *tm)
{
	for (size_t i = 0; i < len; i++) {
		char word[] = { '%', 0, 0 }, text[64];

		if (name[i] != '%' || i + 1 == len) {
			putc(name[i], out);
			continue;
		}
		word[1] = name[++i];
		if (word[1] == 'n')
			put_guest(out, guest);
		else if (strftime(text, sizeof(text), word, tm))
			fputs(text, out);
	}
}

/* The same, but with a name that is good whatever the guest is called; to be freed */
static char *component_text(const char *name, size_t len, const char *guest, const struct tm *tm)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	put_component(out, name, len, guest, tm);
	fclose(out);
	if (text && size > MAX_COMPONENT)
		text[MAX_COMPONENT] = '\0';
	if (text && suffix_length(text, strlen(text)))
		text[strlen(text) - 1] = '_';
	return text;
}

char *crash_template_expand(const char *template, const char *guest, int64_t time)
{
	const time_t t = (time_t)time;
	char *path = NULL;
	size_t size = 0;
	struct tm tm;
	FILE *out;

	if (!localtime_r(&t, &tm) || !(out = open_memstream(&path, &size)))
		return NULL;
	for (const char *p = template_below(template); *p; p += *p == '/') {
		const size_t n = strcspn(p, "/");
		char *text = component_text(p, n, guest, &tm);

		if (text)
			fprintf(out, "%s%s", p == template_below(template) ? "" : "/", *text ? text : "_");
		free(text);
		p += n;
	}
	fclose(out);
	return path;
}

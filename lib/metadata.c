/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * metadata.c - the note that says where a dump comes from
 *
 * Its descriptor is text, which has no byte order and which strings(1) shows: the line
 * GUESTDUMP=1, then lines KEY=VALUE.  The time has a fixed length, because that of a live dump is
 * known only after the note has its place.
 */
#include "metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "args.h"
#include "util/bits.h"
#include "util/clock.h"
#include "util/cleanup.h"

/* No type that other notes have: some readers look at the type alone. */
enum { METADATA_TYPE = 0x47440001 };
/* No value that is written is longer; no note that is larger is read. */
enum { METADATA_VALUE = 4096, METADATA_SIZE = 1 << 16 };

static const char metadata_owner[] = "GUESTDUMP";
static const char metadata_version[] = "GUESTDUMP=1\n";
static const char metadata_time[] = "\nTIME=";
/* Where it has a 0, a time has a digit. */
static const char time_form[] = "0000-00-00T00:00:00.000Z";

static const struct metadata_key {
	const char *name;
	size_t member;                  /* the offset of a string               */
} metadata_keys[] = {
	{ "GUEST",   offsetof(struct gdump_metadata, guest) },
	{ "UUID",    offsetof(struct gdump_metadata, uuid) },
	{ "HOST",    offsetof(struct gdump_metadata, host) },
	{ "VMM",     offsetof(struct gdump_metadata, vmm) },
	{ "CREATOR", offsetof(struct gdump_metadata, creator) },
	{ "COMMAND", offsetof(struct gdump_metadata, command) },
};

static const char **metadata_member(struct gdump_metadata *m, const struct metadata_key *key)
{
	void *member = (char *)m + key->member;

	return member;
}

static const struct gdump_note *metadata_find(const struct image *image)
{
	for (size_t i = 0; i < image->num_notes; i++) {
		const struct gdump_note *n = &image->notes[i];

		if (n->type == METADATA_TYPE && !strcmp(n->name, metadata_owner))
			return n;
	}
	return NULL;
}

/* Milliseconds since 1970 as text of the form time_form */
static void metadata_format_time(uint64_t ms, char text[sizeof(time_form)])
{
	const time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	memcpy(text, time_form, sizeof(time_form));
	if (!gmtime_r(&seconds, &tm) || tm.tm_year > 9999 - 1900)
		return;
	strftime(text, sizeof(time_form), "%Y-%m-%dT%H:%M:%S.", &tm);
	text[20] = (char)('0' + ms % 1000 / 100);
	text[21] = (char)('0' + ms % 100 / 10);
	text[22] = (char)('0' + ms % 10);
	text[23] = 'Z';
}

static int metadata_digits(const char *p, int num)
{
	int n = 0;

	for (int i = 0; i < num; i++)
		n = 10 * n + (p[i] - '0');
	return n;
}

/* The reverse; 0: it does not have this form, or is before 1970. */
static uint64_t metadata_parse_time(const char *text)
{
	struct tm tm = { 0 };
	time_t seconds;

	for (size_t i = 0; i < sizeof(time_form); i++) {
		if (time_form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != time_form[i])
			return 0;
	}
	tm.tm_year = metadata_digits(text, 4) - 1900;
	tm.tm_mon = metadata_digits(text + 5, 2) - 1;
	tm.tm_mday = metadata_digits(text + 8, 2);
	tm.tm_hour = metadata_digits(text + 11, 2);
	tm.tm_min = metadata_digits(text + 14, 2);
	tm.tm_sec = metadata_digits(text + 17, 2);
	seconds = timegm(&tm);
	return seconds < 0 ? 0 : (uint64_t)seconds * 1000 + (uint64_t)metadata_digits(text + 20, 3);
}

/* The moment that the memory shows, in milliseconds since 1970 */
static uint64_t metadata_moment(const struct source *s)
{
	const struct guest_ops *guest = s->ops->guest;
	const uint64_t paused_us = guest && guest->paused_us ? guest->paused_us(s) : 0;

	return s->moment_ms ? s->moment_ms : clock_wall_ms() - paused_us / 1000;
}

/* A value ends with its line. */
static void metadata_put_value(FILE *out, const char *value)
{
	for (size_t i = 0; value[i] && i < METADATA_VALUE; i++) {
		const unsigned char c = (unsigned char)value[i];

		putc(c < ' ' || c == 0x7f ? '?' : c, out);
	}
}

static struct gdump_error *metadata_put(struct image *image, struct gdump_metadata *m)
{
	CLEANUP_FREE char *text = NULL;
	char moment[sizeof(time_form)];
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return error_nomem();
	metadata_format_time(m->time_ms, moment);
	fprintf(out, "GUESTDUMP=1%s%s\n", metadata_time, moment);
	for (size_t i = 0; i < ARRAY_SIZE(metadata_keys); i++) {
		const char *value = *metadata_member(m, &metadata_keys[i]);

		if (!value || !*value)
			continue;
		fprintf(out, "%s=", metadata_keys[i].name);
		metadata_put_value(out, value);
		putc('\n', out);
	}
	if (fclose(out))
		return error_nomem();
	return image_add_note(image, metadata_owner, METADATA_TYPE, text, size);
}

struct gdump_error *metadata_add(struct source *s, const struct gdump_metadata *given)
{
	CLEANUP_FREE char *library = NULL;
	struct image *image = &s->image;
	struct gdump_metadata m;
	struct gdump_error *err;

	err = args_take(&m, sizeof(m), given, ARGS_LEAST(struct gdump_metadata, guest),
			"gdump_metadata");
	if (err)
		return err;
	if (asprintf(&library, "libguestdump %s", gdump_version()) < 0)
		return error_nomem();
	m.guest = m.guest ? m.guest : image->guest;
	m.uuid = m.uuid ? m.uuid : image->uuid;
	m.vmm = m.vmm ? m.vmm : image->vmm;
	m.creator = m.creator ? m.creator : library;
	m.time_ms = m.time_ms ? m.time_ms : metadata_moment(s);
	return metadata_put(image, &m);
}

struct gdump_error *metadata_remove(struct image *image)
{
	const struct gdump_note *note = metadata_find(image);

	if (!note)
		return NULL;
	image_remove_note(image, (size_t)(note - image->notes));
	return image_number_notes(image);
}

uint64_t metadata_stamp(struct source *s)
{
	const struct gdump_note *note = metadata_find(&s->image);
	char *at = note ? memmem(note->desc, note->size, metadata_time, strlen(metadata_time)) : NULL;
	char moment[sizeof(time_form)];
	uint64_t now;

	if (!at)
		return 0;
	now = metadata_moment(s);
	metadata_format_time(now, moment);
	/* metadata_put() made room for it */
	memcpy(at + strlen(metadata_time), moment, strlen(moment));
	return now;
}

/* Take one line, which ends with a NUL by now.  Keys of a later version are skipped. */
static void metadata_take_line(char *line, struct gdump_metadata *ret)
{
	char *value = strchr(line, '=');

	if (!value)
		return;
	*value++ = '\0';
	if (!strcmp(line, "TIME"))
		ret->time_ms = metadata_parse_time(value);
	for (size_t i = 0; i < ARRAY_SIZE(metadata_keys); i++) {
		if (!strcmp(line, metadata_keys[i].name) && *value)
			*metadata_member(ret, &metadata_keys[i]) = value;
	}
}

struct gdump_error *metadata_read(const struct image *image, char **text,
				  struct gdump_metadata *ret)
{
	const struct gdump_note *note = metadata_find(image);
	char *line, *next;

	*ret = (struct gdump_metadata){ .size = sizeof(*ret) };
	*text = NULL;
	if (!note || note->size > METADATA_SIZE ||
	    note->size < strlen(metadata_version) ||
	    memcmp(note->desc, metadata_version, strlen(metadata_version)))
		return NULL;
	*text = strndup(note->desc, note->size);
	if (!*text)
		return error_nomem();
	for (line = *text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		metadata_take_line(line, ret);
	}
	return NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "event.h"
#include "json.h"
#include "tool.h"

enum { MIN_BAR = 5, MAX_WIDTH = 100 };

static const char *const styles[] = {
	[PROGRESS_AUTO] = "auto", [PROGRESS_BAR] = "bar", [PROGRESS_PLAIN] = "plain",
	[PROGRESS_JSON] = "json", [PROGRESS_NONE] = "none",
};

static struct {
	enum progress_style style;
	const char *what;
	uint32_t page_size;
	double start, shown;
	bool bar_is_up;
} progress = { .style = PROGRESS_NONE };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

const char *progress_style_name(size_t i)
{
	return i < sizeof(styles) / sizeof(styles[0]) ? styles[i] : NULL;
}

bool parse_progress(const char *text, void *to, struct bad_value *bad)
{
	enum progress_style *style = to;

	for (int i = 0; i <= PROGRESS_NONE; i++) {
		if (!strcmp(styles[i], text)) {
			*style = (enum progress_style)i;
			return true;
		}
	}
	*bad = (struct bad_value){ text, (int)strlen(text), "auto, bar, plain, json or none" };
	return false;
}

/* Whether standard error is a terminal that can erase a line */
static bool has_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
}

void progress_start(enum progress_style style, const char *what, uint32_t page_size)
{
	if (style == PROGRESS_AUTO)
		style = has_terminal() ? PROGRESS_BAR : PROGRESS_PLAIN;
	progress.style = style;
	progress.what = what;
	progress.page_size = page_size;
	progress.start = now();
	/* a bar is shown at once, lines every few seconds */
	progress.shown = style == PROGRESS_PLAIN ? progress.start : 0;
}

bool progress_is_quiet(void)
{
	return progress.style == PROGRESS_NONE;
}

double progress_seconds(void)
{
	return now() - progress.start;
}

void progress_clear(void)
{
	if (progress.bar_is_up)
		fputs("\r\033[K", stderr);
	progress.bar_is_up = false;
}

void progress_end(void)
{
	flockfile(stderr);
	progress_clear();
	fflush(stderr);
	funlockfile(stderr);
	progress.page_size = 0;
}

static int terminal_width(void)
{
	struct winsize ws;

	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) && ws.ws_col && ws.ws_col < MAX_WIDTH)
		return ws.ws_col;
	return MAX_WIDTH;
}

/* As much as fits on the line: percent, then size and time, then a bar */
static void show_bar(uint64_t done, uint64_t total, double seconds)
{
	const double part = (double)done / (double)total;
	const double left = part > 0.01 ? seconds / part - seconds : 0;
	const int room = terminal_width() - 1;
	char bar[MAX_WIDTH + 1], text[64];
	const int percent = snprintf(text, sizeof(text), " %3d%%", (int)(100 * part));
	const int len = percent + snprintf(text + percent, sizeof(text) - (size_t)percent,
					   " of %s  %02u:%02u left",
					   size_text(total * progress.page_size).text,
					   (unsigned int)left / 60, (unsigned int)left % 60);
	const int width = room - len - 2;

	if (len > room)
		text[percent] = 0;
	if (width >= MIN_BAR) {
		const int full = (int)(part * width);

		memset(bar, '#', (size_t)full);
		memset(bar + full, '.', (size_t)(width - full));
		bar[width] = 0;
		fprintf(stderr, "\r[%s]%s\033[K", bar, text);
	} else {
		fprintf(stderr, "\r%s\033[K", text);
	}
	progress.bar_is_up = true;
}

/* Bytes of an input whose size is unknown */
static void show_spool(uint64_t done)
{
	if (progress.style == PROGRESS_NONE)
		return;
	if (progress.style == PROGRESS_BAR)
		fputs("\r\033[K", stderr);
	fprintf(stderr, "guestdump: %s: %s read into a temporary file", progress.what,
		size_text(done).text);
	progress.bar_is_up = progress.style == PROGRESS_BAR;
	if (!progress.bar_is_up)
		fputc('\n', stderr);
}

static void show_plain(uint64_t done, uint64_t total)
{
	fprintf(stderr, "guestdump: %s: %s of %s (%d%%)\n", progress.what,
		size_text(done * progress.page_size).text, size_text(total * progress.page_size).text,
		(int)(100 * done / total));
}

/* @total is 0 while an input of unknown size is copied. */
static void put_progress(uint64_t done, uint64_t total, double seconds)
{
	const uint64_t unit = total ? progress.page_size : 1;

	event_put("progress", json_pack("{s:s, s:o, s:o, s:o}", "phase", total ? "pages" : "input",
					"done", json_count(done * unit), "total",
					total ? json_count(total * unit) : json_null(),
					"seconds", json_seconds(seconds)));
}

static void show(uint64_t done, uint64_t total, double seconds)
{
	if (progress.style == PROGRESS_JSON)
		put_progress(done, total, seconds);
	else if (!total)
		show_spool(done);
	else if (progress.style == PROGRESS_BAR)
		show_bar(done, total, seconds);
	else if (progress.style == PROGRESS_PLAIN)
		show_plain(done, total);
}

bool progress_show(void *arg, uint64_t done, uint64_t total)
{
	const double t = now(), every = progress.style == PROGRESS_PLAIN ? 5 : 0.1;

	if (progress.page_size && t - progress.shown >= every && stderr_is_free()) {
		progress.shown = t;
		flockfile(stderr);
		show(done, total, t - progress.start);
		fflush(stderr);
		funlockfile(stderr);
	}
	return canceled(arg);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

enum { MIN_WIDTH = 40, MAX_WIDTH = 100 };

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

bool progress_style_find(const char *name, enum progress_style *ret)
{
	for (int i = 0; i <= PROGRESS_NONE; i++) {
		if (!strcmp(styles[i], name)) {
			*ret = (enum progress_style)i;
			return true;
		}
	}
	return false;
}

void progress_start(enum progress_style style, const char *what, uint32_t page_size)
{
	if (style == PROGRESS_AUTO)
		style = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_PLAIN;
	progress.style = style;
	progress.what = what;
	progress.page_size = page_size;
	progress.start = now();
	/* lines come every few seconds, a bar at once */
	progress.shown = style == PROGRESS_PLAIN ? progress.start : 0;
}

bool progress_is_json(void)
{
	return progress.style == PROGRESS_JSON;
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
	int width = MAX_WIDTH;

	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) && ws.ws_col && ws.ws_col < width)
		width = ws.ws_col;
	return width < MIN_WIDTH ? MIN_WIDTH : width;
}

static void show_bar(uint64_t done, uint64_t total, double seconds)
{
	const double part = total ? (double)done / (double)total : 1;
	const double left = part > 0.01 ? seconds / part - seconds : 0;
	char bar[MAX_WIDTH + 1], text[64];
	int len = snprintf(text, sizeof(text), " %3d%% of %s  %02u:%02u left", (int)(100 * part),
			   size_text(total * progress.page_size).text, (unsigned int)left / 60,
			   (unsigned int)left % 60);
	int width = terminal_width() - len - 4;
	int full;

	width = width < 5 ? 5 : width;
	full = (int)(part * width);
	memset(bar, '#', (size_t)full);
	memset(bar + full, '.', (size_t)(width - full));
	bar[width] = 0;
	fprintf(stderr, "\r[%s]%s\033[K", bar, text);
	progress.bar_is_up = true;
}

/* Bytes of an input whose size nobody knows */
static void show_spool(uint64_t done, double seconds)
{
	const char *const text = "guestdump: %s: %s read into a temporary file";

	if (progress.style == PROGRESS_JSON) {
		fprintf(stderr, "{\"event\": \"spool\", \"done\": %llu, \"seconds\": %.3f}\n",
			(unsigned long long)done, seconds);
		return;
	}
	if (progress.style == PROGRESS_NONE)
		return;
	if (progress.style == PROGRESS_BAR)
		fputs("\r\033[K", stderr);
	fprintf(stderr, text, progress.what, size_text(done).text);
	progress.bar_is_up = progress.style == PROGRESS_BAR;
	if (!progress.bar_is_up)
		fputc('\n', stderr);
}

static void show(uint64_t done, uint64_t total, double seconds)
{
	const uint64_t bytes = done * progress.page_size, all = total * progress.page_size;

	if (!total) {
		show_spool(done, seconds);
		return;
	}
	switch (progress.style) {
	case PROGRESS_BAR:
		show_bar(done, total, seconds);
		break;
	case PROGRESS_PLAIN:
		fprintf(stderr, "guestdump: %s: %s of %s (%d%%)\n", progress.what,
			size_text(bytes).text, size_text(all).text,
			total ? (int)(100 * done / total) : 100);
		break;
	case PROGRESS_JSON:
		fprintf(stderr,
			"{\"event\": \"progress\", \"done\": %llu, \"total\": %llu, \"seconds\": %.3f}\n",
			(unsigned long long)bytes, (unsigned long long)all, seconds);
		break;
	default:
		break;
	}
}

bool progress_show(void *arg, uint64_t done, uint64_t total)
{
	const double t = now(), every = progress.style == PROGRESS_PLAIN ? 5 : 0.1;

	if (progress.page_size && t - progress.shown >= every) {
		progress.shown = t;
		flockfile(stderr);
		show(done, total, t - progress.start);
		fflush(stderr);
		funlockfile(stderr);
	}
	return canceled(arg);
}

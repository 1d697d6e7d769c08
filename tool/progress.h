/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * progress.h - progress on standard error
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "values.h"

enum progress_style { PROGRESS_AUTO, PROGRESS_BAR, PROGRESS_PLAIN, PROGRESS_JSON, PROGRESS_NONE };

/* The i-th name of a style; NULL past the end. */
const char *progress_style_name(size_t i);
/* See values.h: parses an enum progress_style */
parse_fn parse_progress;
/* @what is shown in front of the progress; it is borrowed. PROGRESS_JSON is for events: event.h. */
void progress_start(enum progress_style style, const char *what, uint32_t page_size);
/* A gdump_progress_fn: returns true if canceled. */
bool progress_show(void *arg, uint64_t done, uint64_t total);
void progress_end(void);
/* Erase the bar, before another message is printed. Call it with stderr locked. */
void progress_clear(void);
bool progress_is_quiet(void);
double progress_seconds(void);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * watch_conf.h - the file watch.conf and its drop-ins: see guestdump-watch.conf(5)
 *
 * A policy is made of the defaults, then [Watch], then each [Guest PATTERN] that matches the guest in
 * the order in which they are read, then the options of the command line.
 */
#pragma once

#include "watch_policy.h"

struct watch_conf;

/* A mistake: "FILE:LINE: KEY=VALUE: 'PIECE' is not ..." */
typedef void watch_conf_fn(void *arg, bool is_error, const char *text);

/* Read @file and the drop-ins in @file.d; with @file NULL, those of the system: watch.conf and
 * watch.conf.d of /etc/guestdump, /run/guestdump and /usr/lib/guestdump. All mistakes are reported
 * to @fn; an unknown key is a warning. Returns false after an error.
 * A @file that does not exist is an error, but the system may have none.
 */
bool watch_conf_read(const char *file, watch_conf_fn *fn, void *arg, struct watch_conf **ret);
/* The same with other directories than the three of the system; they end with NULL. */
bool watch_conf_read_dirs(const char *const *dirs, const char *file, watch_conf_fn *fn, void *arg,
			  struct watch_conf **ret);
void watch_conf_destroy(struct watch_conf *conf);

/* The options of the command line; those whose bit is in @given, by the order of WATCH_KEYS, are
 * taken from @options, which is borrowed.
 */
void watch_conf_set_options(struct watch_conf *conf, const struct watch_policy *options, uint64_t given);

/* The bit in @given of the key with this offset in struct watch_policy; 0: there is none. */
uint64_t watch_key_bit(size_t offset);

/* The policy for a guest of this name, or for none in particular: NULL. Its texts are those of
 * @conf and of the options.
 */
struct watch_policy watch_policy_of(const struct watch_conf *conf, const char *guest);

/* The i-th file that was read, in that order; NULL past the end */
const char *watch_conf_file(const struct watch_conf *conf, size_t i);
/* The i-th pattern of a guest that has a section; NULL past the end */
const char *watch_conf_pattern(const struct watch_conf *conf, size_t i);
/* The i-th template that is used for any guest; NULL past the end. No template is there twice. */
const char *watch_conf_store(const struct watch_conf *conf, size_t i);
/* Write the policy in the form of watch.conf(5): "Key=VALUE" lines. */
void watch_policy_print(const struct watch_policy *p, FILE *out);

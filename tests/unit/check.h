/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * check.h - for unit tests: what fails is printed, and the test goes on
 *
 * main() calls its tests one after the other and returns check_done().
 */
#pragma once

#include <stdio.h>
#include <string.h>

#include <guestdump.h>

static int check_failed;

#define CHECK(cond) \
	check_that((cond), __FILE__, __LINE__, #cond)
#define CHECK_INT(a, b) \
	check_int((long long)(a), (long long)(b), __FILE__, __LINE__, #a " == " #b)
#define CHECK_STR(a, b) \
	check_str((a), (b), __FILE__, __LINE__, #a " == " #b)
/* An error that must be none, or one with this code and text; both free it. */
#define CHECK_OK(err) \
	check_err((err), 0, "", __FILE__, __LINE__, #err)
#define CHECK_ERR(err, code, part) \
	check_err((err), (int)(code), (part), __FILE__, __LINE__, #err)

static inline bool check_that(bool good, const char *file, int line, const char *what)
{
	if (!good) {
		fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
		__atomic_store_n(&check_failed, 1, __ATOMIC_RELAXED);
	}
	return good;
}

static inline bool check_int(long long a, long long b, const char *file, int line, const char *what)
{
	if (a != b)
		fprintf(stderr, "%lld (0x%llx) and %lld (0x%llx)\n", a, a, b, b);
	return check_that(a == b, file, line, what);
}

static inline bool check_str(const char *a, const char *b, const char *file, int line,
			     const char *what)
{
	const bool same = a && b ? !strcmp(a, b) : a == b;

	if (!same)
		fprintf(stderr, "'%s' and '%s'\n", a ? a : "(null)", b ? b : "(null)");
	return check_that(same, file, line, what);
}

static inline bool check_err(struct gdump_error *err, int code, const char *part,
			     const char *file, int line, const char *what)
{
	const int got = err ? (int)gdump_error_code(err) : 0;
	const char *message = err ? gdump_error_message(err) : "";
	const bool good = got == code && strstr(message, part);

	if (!good)
		fprintf(stderr, "code %d, '%s'; wanted code %d, '%s'\n", got, message, code, part);
	gdump_error_destroy(err);
	return check_that(good, file, line, what);
}

static inline int check_done(void)
{
	return check_failed;
}

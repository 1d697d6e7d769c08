/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include <errno.h>

#include "error.h"

static void test_prefix(void)
{
	struct gdump_error *err = error_new(GDUMP_ERR_CORRUPT, "offset %d", 7);

	err = error_prefix(err, "page 0x%x", 16);
	err = error_prefix(err, "%s", "file");
	CHECK_STR(gdump_error_message(err), "file: page 0x10: offset 7");
	CHECK_INT(gdump_error_code(err), GDUMP_ERR_CORRUPT);
	CHECK_INT(gdump_error_errno(err), 0);
	gdump_error_destroy(err);
	CHECK(!error_prefix(NULL, "nothing"));
	gdump_error_destroy(NULL);
}

static void test_os(void)
{
	struct gdump_error *err = error_os(ENOENT, "opening %s", "it");

	CHECK_INT(gdump_error_errno(err), ENOENT);
	CHECK_ERR(err, GDUMP_ERR_OS, "opening it: No such file or directory");
}

/* The one that needs no memory stays what it is. */
static void test_nomem(void)
{
	struct gdump_error *err = error_prefix(error_nomem(), "compressing");

	CHECK(err == error_nomem());
	gdump_error_destroy(err);
	CHECK_ERR(error_nomem(), GDUMP_ERR_NOMEM, "out of memory");
}

/* A message of the guest's or of a user's file name is not a format. */
static void test_percent(void)
{
	CHECK_ERR(error_prefix(error_new(GDUMP_ERR_USAGE, "%s", "%n%s"), "%s", "100%d"),
		  GDUMP_ERR_USAGE, "100%d: %n%s");
}

int main(void)
{
	test_prefix();
	test_os();
	test_nomem();
	test_percent();
	return check_done();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/* The header needs nothing but itself, and no newer C than this. */
#include <guestdump.h>

int main(void)
{
	struct gdump_format_info format;
	struct gdump *g = NULL;
	struct gdump_error *err = gdump_open("/nonexistent", NULL, &g);
	int code = err ? (int)gdump_error_code(err) : 0;

	gdump_error_destroy(err);
	gdump_close(g);
	return code != GDUMP_ERR_OS || !gdump_format_at(0, &format) || !gdump_version();
}

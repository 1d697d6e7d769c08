/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/* The header works in C++11 too. */
#include <guestdump.h>

int main()
{
	struct gdump_format_info format;
	struct gdump *g = nullptr;
	struct gdump_error *err = gdump_open("/nonexistent", nullptr, &g);
	int code = err ? static_cast<int>(gdump_error_code(err)) : 0;

	gdump_error_destroy(err);
	gdump_close(g);
	return code != GDUMP_ERR_OS || !gdump_format_at(0, &format) || !gdump_version();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "codec.h"

/* Pages are stored uncompressed; this row gives that a name. */
const struct codec codec_none = {
	.name = "none",
	.library = "built in",
};

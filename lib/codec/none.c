/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "codec.h"

/* Pages stay as they are: a row to name it by. */
const struct codec codec_none = {
	.name = "none",
	.library = "built in",
};

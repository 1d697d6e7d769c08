/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * sha256.h - the SHA-256 of a file
 */
#pragma once

#include <stdbool.h>

struct sha256_text { char hex[65]; };

/* Whether this build has it: it needs OpenSSL. */
bool sha256_is_built(void);
/* Read the file from its beginning to its end. Returns 0 or an errno. */
int sha256_of_file(int fd, struct sha256_text *ret);

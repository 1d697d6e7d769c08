/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * crc32c.h - the checksum of snappy's frames (and of iSCSI)
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The CRC-32C of @len bytes */
uint32_t crc32c(const void *buf, size_t len);

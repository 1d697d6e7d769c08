/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * hyperv.h - a saved state of Hyper-V: its container, its blocks of memory, and its CPUs
 */
#pragma once

#include "../bytes/bytes.h"
#include "../machine/image.h"

enum { HYPERV_PAGE = 4096, HYPERV_BLOCK = 1 << 20, HYPERV_BLOCK_PAGES = HYPERV_BLOCK / HYPERV_PAGE };

/* A node of the tree of keys: the place of its entry.  { 0, 0 } is the root. */
struct hyperv_node {
	uint16_t table;
	uint32_t off;
};

/* A key: a node, or a value that is in the file */
struct hyperv_key {
	struct hyperv_node node;
	char name[256];
	bool is_node, is_array;
	uint64_t off, size;             /* of an array's bytes in the file      */
};

/* Call @each for the keys below @parent.  An error of it ends this. */
MUST_CHECK struct gdump_error *hyperv_keys(struct bytes *in, struct hyperv_node parent,
					   struct gdump_error *(*each)(void *arg,
								       const struct hyperv_key *key),
					   void *arg);

/* Bytes [off, off + len) of a block of memory whose tokens are the @size bytes at @pos of the file,
 * and which must have @pages pages, or be full
 */
MUST_CHECK struct gdump_error *hyperv_tokens_read(struct bytes *in, uint64_t pos, uint32_t size,
						  uint32_t pages, uint32_t off, unsigned char *buf,
						  size_t len);
/* Decompress plain LZ77 of MS-XCA; false: it has not exactly @out_len bytes. */
bool hyperv_decompress(const unsigned char *in, size_t len, unsigned char *out, size_t out_len);

/* Take the machine and the CPUs of a partition's state. */
MUST_CHECK struct gdump_error *hyperv_add_cpus(const unsigned char *state, size_t len,
					       struct image *image);

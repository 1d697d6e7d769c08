/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mkpv.h - what both halves of mkpv share: bytes, and what a plain core is made of
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { PAGE = 4096, AREA = 1568, MAX_LOADS = 64, MAX_CPUS = 1024 };

void must(bool good, const char *what);

/* Big-endian numbers */
void put(unsigned char *p, uint64_t v, int n);
uint64_t get(const unsigned char *p, int n);

/* Bytes that grow */
struct buf {
	unsigned char *p;
	size_t len;
};

unsigned char *grow(struct buf *b, size_t n);
void put_note(struct buf *b, const char *name, uint32_t type, const void *desc, size_t size);
void write_all(FILE *f, const void *p, size_t len);

/* What of a CPU is in its notes, and where it is in the area: pieces of 8 bytes or less
 * one by one, as a table for people to compare with the book.
 */
struct piece {
	uint32_t type;
	int note, area, len;
};

extern struct piece pieces[256];
extern int num_pieces;
void fill_pieces(void);

struct load {
	uint64_t paddr, size, off;
};

void ehdr_fill(unsigned char *p, int phnum, uint64_t phoff);
void phdr_fill(unsigned char *p, uint32_t type, const struct load *l);
void add_cpu_notes(struct buf *b, int cpu, const unsigned char *area);

/* The words behind "plain" */
int make_plain(int argc, char **argv);

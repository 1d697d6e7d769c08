/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pagedeflate_inside.h - what the files of pagedeflate share; see pagedeflate.c
 */
#pragma once

#include <stdint.h>

enum {
	PAGE = 4096,

	/* Symbols.  The three alphabets of RFC 1951 are in one row: literals and lengths
	 * (3.2.5), distances up to a page, and lengths of codes (3.2.7).
	 */
	END_OF_BLOCK = 256,
	LENGTHS = 257,
	DISTANCES = 286,
	CODE_LENGTHS = 310,
	NUM_SYMBOLS = 329,
	MAX_ALPHABET = DISTANCES,

	MAX_MATCH = 258,

	/* Tokens of a page: at most a literal for each byte, and the end.  Literals are written
	 * LITERALS_AT_ONCE, and some of them may be too many.
	 */
	LITERALS_AT_ONCE = 16,
	MAX_TOKENS = PAGE + 1 + LITERALS_AT_ONCE,
};

/* A token is a symbol and the value of the extra bits that follow it. */
enum { TOKEN_SYMBOL_BITS = 9 };

static inline uint32_t token(unsigned int symbol, unsigned int extra)
{
	return symbol | extra << TOKEN_SYMBOL_BITS;
}

static inline unsigned int token_symbol(uint32_t token)
{
	return token & ((1u << TOKEN_SYMBOL_BITS) - 1);
}

static inline unsigned int token_extra(uint32_t token)
{
	return token >> TOKEN_SYMBOL_BITS;
}

/* Matches (pagedeflate_match.c) ---------------------------------------------- */

/* Write the page as tokens, which have room for MAX_TOKENS.  Returns how many. */
unsigned int matches_find(const unsigned char *page, uint32_t *tokens);

/* Codes (pagedeflate_code.c) ------------------------------------------------- */

struct alphabet {
	uint16_t first, num;            /* symbols                              */
	unsigned int max_len;           /* of a code, in bits                   */
};

/* The symbols that have a code, in ascending order; at least two */
struct coding {
	unsigned int num;
	uint16_t symbol[MAX_ALPHABET];
	uint8_t len[MAX_ALPHABET];
};

struct code {
	uint16_t bits;                  /* in the order of the stream, lowest first */
	uint8_t len;
	uint8_t len_with_extra;
};

/* What is the same for all pages */
struct code_tables {
	uint8_t log2[PAGE + 1024];      /* rounded down; see LOG2_ONE           */
	uint8_t reversed[256];          /* the bits of a byte                   */
};

void code_tables_init(struct code_tables *t);
/* Choose the lengths of an alphabet's codes by how often each symbol occurs. */
void coding_choose(const struct code_tables *t, const struct alphabet *a, const uint16_t *counts,
		   struct coding *ret);
/* Assign codes of these lengths.  Returns the bits of all that is counted. */
unsigned int coding_assign(const struct code_tables *t, const struct coding *c,
			   const uint16_t *counts, struct code *codes);

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/elf_sections.c - bytes of an ELF core that its section headers name
 *
 * QEMU writes section headers in the byte order of its host, so both orders are tried, that of
 * the ELF header first.
 */
#include "elf.h"

#include "../util/bits.h"
#include "../util/cursor.h"
#include "file_proof.h"

struct elf_extent {
	uint32_t type;
	uint64_t off, size;
};

/* The file has all section headers. */
static struct gdump_error *elf_extent_read(struct bytes *in, const struct elf_header *h, bool big,
					   uint16_t i, struct elf_extent *ret)
{
	unsigned char buf[sizeof(Elf64_Shdr)];
	const size_t len = elf_shdr_size(h->is64);
	struct gdump_error *err = bytes_read(in, h->shoff + i * len, buf, len);
	struct cursor c = cursor_init(buf, len, big, h->is64);

	cursor_take(&c, 4);
	ret->type = get_u32(&c);
	get_word(&c);                   /* sh_flags */
	get_word(&c);                   /* sh_addr */
	ret->off = get_word(&c);
	ret->size = get_word(&c);
	if (ret->type == SHT_NULL || ret->type == SHT_NOBITS)
		ret->size = ret->off = 0;
	return err;
}

/* Whether each section is in the file, if the headers are in this byte order */
static bool elf_extents_fit(struct bytes *in, const struct elf_header *h, bool big)
{
	struct elf_extent e;

	for (uint16_t i = 1; i < h->shnum; i++) {
		CLEANUP_ERROR struct gdump_error *err = elf_extent_read(in, h, big, i, &e);

		if (err || !range_fits(e.off, e.size, in->size))
			return false;
	}
	return true;
}

struct gdump_error *elf_sections_name(struct bytes *in, const struct elf_header *h,
				      struct file_proof *to, bool *incomplete)
{
	const uint64_t len = (uint64_t)h->shnum * elf_shdr_size(h->is64);
	struct gdump_error *err;
	struct elf_extent e;
	bool big = h->big;

	if (h->shnum <= 1)
		return NULL;
	if (h->shentsize != elf_shdr_size(h->is64))
		return error_new(GDUMP_ERR_CORRUPT, "ELF header: invalid size of a section header: %u",
				 h->shentsize);
	*incomplete = !range_fits(h->shoff, len, in->size);
	if (!*incomplete && !elf_extents_fit(in, h, big)) {
		big = !big;
		*incomplete = !elf_extents_fit(in, h, big);
	}
	if (*incomplete)
		return NULL;
	err = file_proof_name(to, len, h->shoff);
	for (uint16_t i = 1; !err && i < h->shnum; i++) {
		err = elf_extent_read(in, h, big, i, &e);
		if (!err)
			err = file_proof_name(to, e.size, e.off);
	}
	return err;
}

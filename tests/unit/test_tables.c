/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include "arch/arch.h"
#include "codec/codec.h"
#include "format/format.h"

static void test_formats(void)
{
	const struct format *f, *other;
	struct gdump_format_info info;
	const char *codec = NULL;

	for (size_t i = 0; (f = format_at(i)); i++) {
		CHECK(f->name && f->summary && *f->summary);
		CHECK(format_reads(f) || f->create);
		CHECK(!format_reads(f) || f->probe);
		CHECK(!f->codec || codec_find(f->codec));
		CHECK(format_find(f->name, &codec) == f && !codec);
		CHECK(gdump_format_at(i, &info) && info.reads == format_reads(f));
		for (size_t k = 0; k < i && (other = format_at(k)); k++)
			CHECK(strcmp(f->name, other->name));
	}
	CHECK(!gdump_format_at(99, &info));
	CHECK(!format_find("none such", &codec) && !format_find("", &codec));
}

static void test_aliases(void)
{
	const char *codec = NULL;
	const struct format *kdump = format_find("kdump", &codec);

	CHECK(format_find("kdump-zlib", &codec) == kdump);
	CHECK_STR(codec, "zlib");
	CHECK(format_find("kdump-raw-snappy", &codec) == kdump);
	CHECK_STR(codec, "snappy");
}

/* No format takes another's first bytes, or reads behind them. */
static void test_probes(void)
{
	static const char *const heads[] = {
		"KDUMP   ", "DISKDUMP", "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0", "makedumpfile", "PAGEDU64",
		"EMiL", "QEVM", "LibvirtQemudSave", "\377\377", "",
	};

	for (size_t h = 0; h < sizeof(heads) / sizeof(heads[0]); h++) {
		unsigned char head[4096] = { 0 };
		const struct format *f;
		int claimed = 0;

		memcpy(head, heads[h], h == 2 ? 16 : strlen(heads[h]));
		for (size_t i = 0; (f = format_at(i)); i++) {
			claimed += f->probe && f->probe(head, sizeof(head));
			CHECK(!f->probe || !f->probe(head, 0));
			CHECK(!f->probe || !f->probe(head, 3));
		}
		CHECK(claimed <= 1);
		CHECK(h > 2 || claimed == 1);
	}
}

static void test_codecs(void)
{
	const struct codec *c, *other;
	struct gdump_codec_info info;

	for (size_t i = 0; (c = codec_at(i)); i++) {
		CHECK(c->name && codec_find(c->name) == c);
		CHECK(gdump_codec_at(i, &info) && info.library == c->library);
		if (c->compress) {
			CHECK(c->library && c->decompress && c->compress_open && c->compress_close);
			CHECK(c->decompress_open && c->decompress_close && c->kdump_flag);
			CHECK(c->min_level <= c->default_level && c->default_level <= c->max_level);
			CHECK(c->min_level <= c->live_level && c->live_level <= c->max_level);
			CHECK(codec_by_kdump_flag(c->kdump_flag) == c);
		}
		for (size_t k = 0; k < i && (other = codec_at(k)); k++) {
			CHECK(strcmp(c->name, other->name));
			CHECK(!c->kdump_flag || c->kdump_flag != other->kdump_flag);
		}
	}
	CHECK(!gdump_codec_at(99, &info) && !codec_find("none such") && !codec_by_kdump_flag(0));
}

/* Registers lie inside of the note, and not upon each other. */
static void test_registers(const struct arch *a)
{
	for (const struct reg *r = a->regs; r && r->name; r++) {
		CHECK(r->size == 4 || r->size == 8);
		CHECK(r->off + r->size <= a->prstatus_size);
		for (const struct reg *o = a->regs; o < r; o++) {
			CHECK(strcmp(o->name, r->name));
			CHECK(o->off + o->size <= r->off || r->off + r->size <= o->off);
		}
	}
}

static void test_arches(void)
{
	const struct arch *a, *other;

	for (size_t i = 0; (a = arch_at(i)); i++) {
		CHECK(a->name && a->machine && a->prstatus_size && a->page_size >= 4096);
		CHECK(a->regs && a->regs[0].name);
		CHECK(arch_by_machine(a->machine) == a);
		CHECK_STR(gdump_arch_name(i), a->name);
		test_registers(a);
		for (size_t k = 0; k < i && (other = arch_at(k)); k++)
			CHECK(strcmp(a->name, other->name));
	}
	CHECK(!gdump_arch_name(99));
	CHECK(arch_by_machine(0) == &arch_unknown);
}

int main(void)
{
	test_formats();
	test_aliases();
	test_probes();
	test_codecs();
	test_arches();
	return check_done();
}

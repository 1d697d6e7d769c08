/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * format/libvirt_save.c - "virsh save": a header, the domain's XML, QEMU's stream
 *
 * The header is in the byte order of the host that wrote it.  It says which program compressed
 * the whole stream.  This reader looks at the first bytes of the stream instead, so that it also
 * reads a file whose stream was decompressed later while the header remained the same.
 *
 * Facts: libvirt's src/qemu/qemu_saveimage.[ch].
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../migration/domain.h"
#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "savevm.h"

enum { HEADER_SIZE = 92, MAGIC_SIZE = 16, MAX_VERSION = 2, MAX_XML = 64 << 20 };

static const char magic_done[] = "LibvirtQemudSave", magic_part[] = "LibvirtQemudPart";

/* The first bytes of a compressed stream */
static const struct {
	const char *program, *magic;
} compressors[] = {
	{ "gzip",  "\x1f\x8b" },
	{ "bzip2", "BZh" },
	{ "xz",    "\xfd" "7zXZ" },
	{ "lzop",  "\x89LZO" },
	{ "zstd",  "\x28\xb5\x2f\xfd" },
};

static bool libvirt_probe(const unsigned char *head, size_t len)
{
	return len >= HEADER_SIZE && (!memcmp(head, magic_done, MAGIC_SIZE) ||
				      !memcmp(head, magic_part, MAGIC_SIZE));
}

static struct gdump_error *libvirt_read_header(struct bytes *in, size_t *xml_len)
{
	unsigned char buf[HEADER_SIZE];
	struct gdump_error *err = bytes_read(in, 0, buf, sizeof(buf));
	struct cursor c = cursor_init(buf, sizeof(buf), false, true);
	uint32_t version;

	if (err)
		return err;
	cursor_take(&c, MAGIC_SIZE);
	version = get_u32(&c);
	if (version > UINT16_MAX) {
		version = __builtin_bswap32(version);
		c.big = true;
	}
	*xml_len = get_u32(&c);
	if (!version || version > MAX_VERSION)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "invalid version of the libvirt save file: %u; only 1 and 2 are supported",
				 version);
	if (*xml_len > MAX_XML || !range_fits(HEADER_SIZE, *xml_len, in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "invalid length of the domain's XML: %zu; the whole file has %" PRIu64 " bytes",
				 *xml_len, in->size);
	return NULL;
}

static struct gdump_error *libvirt_read_domain(struct bytes *in, size_t len, struct domain *d)
{
	CLEANUP_FREE char *xml = malloc(len + 1);
	struct gdump_error *err;

	if (!xml)
		return error_nomem();
	err = bytes_read(in, HEADER_SIZE, xml, len);
	return err ? err : domain_parse(d, xml, len);
}

/* A compressed stream is an error: a decompressed copy may be as large as the guest's memory, and
 * where there is space for it is the user's decision.
 */
static struct gdump_error *libvirt_check_stream(struct bytes *in, uint64_t pos)
{
	char head[8] = "";
	struct gdump_error *err = bytes_read(in, pos, head,
					     (size_t)MIN(in->size - pos, sizeof(head)));

	for (size_t i = 0; !err && i < ARRAY_SIZE(compressors); i++) {
		if (!memcmp(head, compressors[i].magic, strlen(compressors[i].magic)))
			return error_new(GDUMP_ERR_UNSUPPORTED,
					 "the memory is compressed with %s; decompress it first: "
					 "(head -c %" PRIu64 " FILE; tail -c +%" PRIu64
					 " FILE | %s -dc) > NEW",
					 compressors[i].program, pos, pos + 1,
					 compressors[i].program);
	}
	return err;
}

static struct gdump_error *libvirt_open(struct bytes *in, struct source **ret)
{
	struct savevm_spec spec = { .name = "libvirt-save", .what = "libvirt save file" };
	struct gdump_error *err;
	struct domain domain = { 0 };
	size_t xml_len = 0;

	err = libvirt_read_header(in, &xml_len);
	if (!err)
		err = libvirt_read_domain(in, xml_len, &domain);
	spec.pos = HEADER_SIZE + xml_len;
	if (!err)
		err = libvirt_check_stream(in, spec.pos);
	spec.hints = (struct placement_hints){
		.machine = domain.machine, .addrs = domain.addrs, .num_addrs = domain.num_addrs,
	};
	if (err)
		bytes_close(in);
	else
		err = savevm_open_at(in, &spec, ret);
	domain_deinit(&domain);
	return err;
}

const struct format format_libvirt_save = {
	.name = "libvirt-save",
	.summary = "a guest that \"virsh save\" saved",
	.probe = libvirt_probe,
	.open = libvirt_open,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pv/cpu.c - the registers of a protected CPU: from its encrypted area to notes
 *
 * An area, version 1, big-endian: 0 version, 4 length, 8 IV, 32 to 1551 encrypted, 1552 tag;
 * bytes 0 to 31 are authenticated as well.  The length is not checked, as other readers do
 * not check it either.  The table below has the offsets.  Registers are copied unchanged.
 *
 * Facts: s390-tools' zdump/, Linux's arch/s390/kernel/crash_dump.c for the notes.
 */
#include "cpu.h"

#include <elf.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cursor.h"

enum {
	VERSION = 1,
	IV_OFF = 8,
	SEALED_OFF = 32,
	TAG_OFF = 1552,
	FLAGS_OFF = 1536,
	FLAG_PARTIAL = 0x8000,
	MAX_DESC = 336,
	PID_OFF = 32,                   /* in NT_PRSTATUS */
};

/* Copy @num pieces of @len bytes, @to_step bytes apart in the note and @from_step in the area. */
struct copy {
	uint16_t to, from, len, num, to_step, from_step;
};

/* Notes in the order in which others write them; bytes that are not copied are zero */
static const struct {
	const char *name;
	uint32_t type;
	uint16_t size;
	struct copy copies[3];
} rows[] = {
	{ "CORE", NT_PRSTATUS, 336, { { 112, 160, 16, 1 },      /* PSW */
				      { 128, 32, 128, 1 },      /* general registers */
				      { 256, 224, 64, 1 } } },  /* access registers */
	/* floating point register n is the first half of vector register n */
	{ "CORE", NT_FPREGSET, 136, { { 0, 188, 4, 1 }, { 8, 416, 8, 16, 8, 16 } } },
	{ "LINUX", NT_S390_TIMER, 8, { { 0, 200, 8, 1 } } },
	{ "LINUX", NT_S390_TODCMP, 8, { { 0, 208, 8, 1 } } },
	{ "LINUX", NT_S390_TODPREG, 4, { { 0, 196, 4, 1 } } },
	{ "LINUX", NT_S390_CTRS, 128, { { 0, 288, 128, 1 } } },
	{ "LINUX", NT_S390_PREFIX, 4, { { 0, 184, 4, 1 } } },
	{ "LINUX", NT_S390_VXRS_LOW, 128, { { 0, 424, 8, 16, 8, 16 } } },
	{ "LINUX", NT_S390_VXRS_HIGH, 256, { { 0, 672, 256, 1 } } },
	{ "LINUX", NT_S390_GS_CB, 32, { { 8, 1448, 24, 1 } } },
};

static bool pv_cpu_is_empty(const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

struct gdump_error *pv_cpu_open(struct crypto *c, const struct pv_keys *keys,
				const struct gdump_note *note, unsigned char *plain)
{
	const unsigned char *area = note->desc;
	struct cursor header = cursor_init(area, note->size, true, true);
	const uint32_t version = get_u32(&header);
	const struct gcm_box box = {
		.iv = area + IV_OFF, .tag = area + TAG_OFF, .aad = area, .aad_len = SEALED_OFF,
		.data = area + SEALED_OFF, .len = TAG_OFF - SEALED_OFF,
	};
	struct gdump_error *err;
	bool good;

	if (note->size < PV_CPU_SIZE)
		return error_new(GDUMP_ERR_CORRUPT, "its area has %zu bytes instead of %d",
				 note->size, PV_CPU_SIZE);
	if (pv_cpu_is_empty(area, note->size))
		return error_new(GDUMP_ERR_NODATA,
				 "its area is empty: the program that made the dump did not get "
				 "it");
	if (version != VERSION)
		return error_new(GDUMP_ERR_CORRUPT,
				 "version %u of its area is unknown; guestdump knows version %d",
				 version, VERSION);
	memcpy(plain, area, PV_CPU_SIZE);
	err = crypto_gcm(c, keys->dump, &box, plain + SEALED_OFF, &good);
	if (!err && !good)
		err = error_new(GDUMP_ERR_CORRUPT, "its area is damaged: the tag is wrong");
	return err;
}

bool pv_cpu_partial(const unsigned char *plain)
{
	struct cursor c = cursor_init(plain + FLAGS_OFF, 2, true, true);

	return get_u16(&c) & FLAG_PARTIAL;
}

static void pv_cpu_copy(unsigned char *desc, const struct copy *copy, const unsigned char *plain)
{
	for (size_t i = 0; i < copy->num; i++)
		memcpy(desc + copy->to + i * copy->to_step,
		       plain + copy->from + i * copy->from_step, copy->len);
}

struct gdump_error *pv_cpu_add_notes(struct image *image, size_t cpu, const unsigned char *plain)
{
	struct gdump_error *err = NULL;

	for (size_t i = 0; !err && i < (plain ? ARRAY_SIZE(rows) : 1); i++) {
		unsigned char desc[MAX_DESC] = { 0 };
		struct cursor pid = cursor_init(desc + PID_OFF, 4, true, true);

		if (rows[i].type == NT_PRSTATUS)
			put_u32(&pid, (uint32_t)cpu + 1);
		for (size_t k = 0; plain && k < ARRAY_SIZE(rows[i].copies); k++)
			pv_cpu_copy(desc, &rows[i].copies[k], plain);
		err = image_add_note(image, rows[i].name, rows[i].type, desc, rows[i].size);
	}
	return err;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mkpv - make dumps of protected s390x guests, for tests
 *
 *     mkpv plain OUT SEED CPUS START:SIZE... [WORD...]
 *         a plain ELF core of such a machine: random registers, memory of all kinds; words:
 *     prefixes          the CPUs' prefix pages are in memory; each second one has a place
 *                       for vector registers
 *     note              the lowcore tells where a VMCOREINFO note is
 *     os-info os-info-bad os-info-text-bad     it tells of os_info, which has the text of
 *                       VMCOREINFO; sums are wrong
 *     mkpv seal PLAIN KEY OUT [CHANGE...]
 *         what QEMU and the firmware would have written of that machine, had it been
 *         protected; KEY is a file with the customer communication key
 *
 * It has nothing in common with lib/pv/ but the facts.  Pages of zeros become zero pages,
 * some with junk in the file, and some are encrypted all the same; every seventh page of
 * the others is shared.
 *
 * Changes:
 *     vector            seed, IV, nonce and page key as published, for known answers
 *     early dotted host-order reverse     other layouts: sections before the memory,
 *                       names with a dot, section headers in the other byte order,
 *                       segments from the last to the first
 *     by-address        pv_mem_meta has a place for each address from 0 on
 *     no-meta no-compl no-areas no-host-notes     left out
 *     cpu-missing=N cpu-empty=N cpu-damaged=N cpu-partial=N cpu-version=N cpu-short=N
 *                       the area of CPU N is so; cpu-missing: not there
 *     state=ADDR:HEX    the last two bytes of this page's component, which is special
 *     fields            says on stdout what is where, as mkdump --fields does
 *     meta-short meta-past compl-version compl-length compl-short compl-past compl-tag
 *                       sections that are wrong
 */
#include "mkpv.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "../unit/random.h"

enum { AREA_ROOM = 4096, COMPL = 288 };

/* A core that is read */
struct core {
	unsigned char *map;
	uint64_t size;
	struct load loads[MAX_LOADS];
	int num_loads;
	unsigned char (*areas)[AREA];   /* plain                                */
	int num_cpus;
	struct buf others;              /* notes that are of no CPU             */
};

/* Reading it, or one of QEMU's */

static void read_notes(struct core *c, uint64_t off, uint64_t end)
{
	while (off + 12 <= end) {
		const unsigned char *p = c->map + off;
		const uint64_t namesz = (get(p, 4) + 3) & ~(uint64_t)3, descsz = get(p + 4, 4);
		const uint32_t type = (uint32_t)get(p + 8, 4);
		const unsigned char *desc = p + 12 + namesz;

		if (strcmp((const char *)p + 12, "CORE") && strcmp((const char *)p + 12, "LINUX")) {
			put_note(&c->others, (const char *)p + 12, type, desc, (size_t)descsz);
		} else {
			c->num_cpus += type == NT_PRSTATUS;
			must(c->num_cpus && c->num_cpus <= MAX_CPUS, "no CPUs, or too many");
		}
		for (int i = 0; i < num_pieces; i++) {
			if (pieces[i].type == type && (uint64_t)(pieces[i].note + pieces[i].len) <= descsz)
				memcpy(c->areas[c->num_cpus - 1] + pieces[i].area,
				       desc + pieces[i].note, (size_t)pieces[i].len);
		}
		off += 12 + namesz + ((descsz + 3) & ~(uint64_t)3);
	}
}

static void read_core(struct core *c, const char *path)
{
	const int fd = open(path, O_RDONLY);
	struct stat st;
	uint64_t phoff;
	int phnum;

	must(fd >= 0 && !fstat(fd, &st), "cannot open the plain core");
	c->size = (uint64_t)st.st_size;
	c->map = mmap(NULL, (size_t)c->size, PROT_READ, MAP_PRIVATE, fd, 0);
	must(c->map != MAP_FAILED && !memcmp(c->map, "\177ELF\2\2", 6), "not a big-endian core");
	close(fd);
	c->areas = calloc(MAX_CPUS, AREA);
	phoff = get(c->map + 32, 8);
	phnum = (int)get(c->map + 56, 2);
	for (int i = 0; i < phnum; i++) {
		const unsigned char *p = c->map + phoff + (uint64_t)i * 56;
		const struct load l = { get(p + 24, 8), get(p + 32, 8), get(p + 8, 8) };

		if (get(p, 4) == PT_NOTE)
			read_notes(c, l.off, l.off + l.size);
		else if (get(p, 4) == PT_LOAD && l.size)
			c->loads[c->num_loads++] = l;
		must(c->num_loads < MAX_LOADS && l.off + l.size <= c->size, "a strange core");
	}
}

/* Encryption */

struct keys {
	unsigned char cck[32], seed[64], dump[32], nonce[16], xts[64], iv[12];
};

static char **changes;

static const char *change(const char *name)
{
	const size_t len = strlen(name);

	for (char **c = changes; *c; c++) {
		if (!strncmp(*c, name, len) && (!(*c)[len] || (*c)[len] == '='))
			return (*c)[len] ? *c + len + 1 : "";
	}
	return NULL;
}

static bool change_of_cpu(const char *name, int cpu)
{
	const char *value = change(name);

	return value && atoi(value) == cpu;
}

static void unhex(unsigned char *p, const char *hex)
{
	for (unsigned int byte; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		*p++ = (unsigned char)byte;
}

/* Extract and expand, each by hand: RFC 5869 */
static void hkdf(const struct keys *k, unsigned char *ret)
{
	static const char info[] = "IBM Z Ultravisor Dump\001";
	unsigned char prk[64], okm[64];
	size_t len;

	must(EVP_Q_mac(NULL, "HMAC", NULL, "SHA512", NULL, k->seed, sizeof(k->seed), k->cck,
		       sizeof(k->cck), prk, sizeof(prk), &len) != NULL, "HMAC");
	must(EVP_Q_mac(NULL, "HMAC", NULL, "SHA512", NULL, prk, sizeof(prk),
		       (const unsigned char *)info, strlen(info), okm, sizeof(okm), &len) != NULL,
	     "HMAC");
	memcpy(ret, okm, 32);
}

/* Seal @p, of which the first @aad bytes stay as they are, and put the tag behind it. */
static void gcm(const struct keys *k, const unsigned char *iv, unsigned char *p, int aad, int len)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	must(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, k->dump, iv) == 1 &&
	     EVP_EncryptUpdate(ctx, NULL, &n, p, aad) == 1 &&
	     EVP_EncryptUpdate(ctx, p + aad, &n, p + aad, len) == 1 &&
	     EVP_EncryptFinal_ex(ctx, p + aad + len, &n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, p + aad + len) == 1, "GCM");
	EVP_CIPHER_CTX_free(ctx);
}

static void make_keys(struct keys *k, const char *path)
{
	FILE *f = fopen(path, "rb");
	uint64_t random = 4711;

	must(f && fread(k->cck, 1, sizeof(k->cck), f) == sizeof(k->cck), "cannot read the key");
	fclose(f);
	random_bytes(&random, k->seed, sizeof(*k) - offsetof(struct keys, seed));
	if (change("vector")) {
		unhex(k->seed, "3a34ce6380fc0bc5c05a677850dc981a9e32cdf7948370bda7765f796f00bbef"
			       "bbbb23fe6921fe525bf0c31cacf1e17f3e1900a6529be0432a16cd9ed424ea1e");
		unhex(k->iv, "f898bb508339d848de6bd647");
		unhex(k->nonce, "579593114410e0480a29f5fe3df351f0");
		unhex(k->xts, "1b4897e079059ad22d9cd179c9e412e1315949173d12f7e07c69b356b72b606f"
			      "b6ec11f8caa9ebcf841e03b1ed92f7348898a5df2ba2ae99f810fea09e7eeaa5");
	}
	hkdf(k, k->dump);
}

static void put_compl(struct buf *b, const struct keys *k)
{
	unsigned char *p = grow(b, COMPL);

	put(p, change("compl-version") ? 2 : 1, 4);
	put(p + 4, change("compl-length") ? COMPL + 16 : COMPL, 4);
	memcpy(p + 16, k->seed, 64);
	memcpy(p + 80, k->iv, 12);
	memcpy(p + 96, k->nonce, 16);
	memcpy(p + 112, k->xts, 64);
	gcm(k, k->iv, p, 96, 176);
	if (change("compl-tag"))
		p[280] ^= 1;
	if (change("compl-short"))
		b->len = 200;
}

static void put_area(struct buf *b, const struct keys *k, int cpu, const unsigned char *plain)
{
	unsigned char area[AREA_ROOM] = { 0 };
	uint64_t random = 99 + (uint64_t)cpu;

	if (change_of_cpu("cpu-missing", cpu))
		return;
	memcpy(area, plain, AREA);
	put(area, change_of_cpu("cpu-version", cpu) ? 7 : 1, 4);
	put(area + 4, AREA, 4);
	random_bytes(&random, area + 8, 12);
	if (change_of_cpu("cpu-partial", cpu))
		put(area + 1536, 0x8000, 2);
	gcm(k, area + 8, area, 32, 1520);
	if (change_of_cpu("cpu-damaged", cpu))
		area[777] ^= 4;
	if (change_of_cpu("cpu-empty", cpu))
		memset(area, 0, sizeof(area));
	put_note(b, "LINUX", 0x30e, area, change_of_cpu("cpu-short", cpu) ? 1500 : AREA_ROOM);
}

/* What the host knows is not what was */
static void put_notes(struct buf *b, const struct keys *k, const struct core *c)
{
	for (int cpu = 0; cpu < c->num_cpus; cpu++) {
		unsigned char junk[AREA];

		memset(junk, 0xee, sizeof(junk));
		if (!change("no-host-notes"))
			add_cpu_notes(b, cpu, junk);
		if (!change("no-areas"))
			put_area(b, k, cpu, c->areas[cpu]);
	}
	if (c->others.len)
		memcpy(grow(b, c->others.len), c->others.p, c->others.len);
}

static bool page_is_zero(const unsigned char *p)
{
	for (int i = 0; i < PAGE; i++) {
		if (p[i])
			return false;
	}
	return true;
}

/* Choose a state and a component for a page, and make of it what is in the file. */
static void seal_page(EVP_CIPHER_CTX *ctx, const struct keys *k, uint64_t paddr,
		      unsigned char *page, unsigned char *component)
{
	uint64_t random = paddr + 0x5eed;
	const uint64_t n = paddr / PAGE;
	unsigned char tweak[16];
	int len;

	random_bytes(&random, component, 16);
	memset(component, 0, 3);        /* so it is not special */
	component[1] = 0xff;
	component[2] = (unsigned char)n;
	if (change("vector") && n == 41)
		unhex(component, "3588d804dc8ec281087c98e1ea1f0c1d");
	if (page_is_zero(page) ? n % 5 != 0 : n % 7 == 0) {
		const bool zero = page_is_zero(page);

		memset(component, 0xff, 4);
		component[14] = 0;
		component[15] = (unsigned char)((zero ? 1 : 2) | (n % 2 ? 4 : 0));
		if (zero && n % 3 == 0)
			memset(page, 0xa5, PAGE);
		return;
	}
	for (int i = 0; i < 16; i++)
		tweak[i] = component[i] | k->nonce[i];
	must(EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, tweak) == 1 &&
	     EVP_EncryptUpdate(ctx, page, &len, page, PAGE) == 1, "XTS");
}

static void change_state(uint64_t paddr, unsigned char *component)
{
	const char *value = change("state");
	char *end;

	if (!value || strtoull(value, &end, 0) != paddr)
		return;
	memset(component, 0xff, 4);
	put(component + 14, strtoull(end + 1, NULL, 16), 2);
}

static void put_memory(FILE *f, const struct core *c, const struct keys *k, struct buf *meta)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	must(EVP_EncryptInit_ex(ctx, EVP_aes_256_xts(), NULL, k->xts, NULL) == 1, "XTS");
	for (int i = 0; i < c->num_loads; i++) {
		const struct load *l = &c->loads[i];

		for (uint64_t off = 0; off < l->size; off += PAGE) {
			const uint64_t paddr = l->paddr + off;
			unsigned char page[PAGE], component[16];

			memcpy(page, c->map + l->off + off, PAGE);
			seal_page(ctx, k, paddr, page, component);
			change_state(paddr, component);
			if (change("by-address") && meta->len < paddr / PAGE * 16)
				grow(meta, (size_t)(paddr / PAGE * 16 - meta->len));
			memcpy(grow(meta, 16), component, 16);
			write_all(f, page, PAGE);
		}
	}
	EVP_CIPHER_CTX_free(ctx);
	if (change("meta-short"))
		meta->len -= 16;
}

/* Layout */

static const char names_plain[35] = "\0pv_mem_meta\0pv_compl\0\0\0\0.shstrtab";
static const char names_dotted[38] = "\0.pv_mem_meta\0.pv_compl\0.shstrtab";

struct section {
	uint64_t name, type, off, size;
};

static void shdr_fill(unsigned char *p, const struct section *s)
{
	put(p, s->name, 4);
	put(p + 4, s->type, 4);
	put(p + 24, s->off, 8);
	put(p + 32, s->size, 8);
	if (change("host-order")) {
		for (int i = 0; i < 64; i += i < 8 || (i >= 40 && i < 48) ? 4 : 8) {
			const int n = i < 8 || (i >= 40 && i < 48) ? 4 : 8;
			unsigned char turned[8];

			for (int k = 0; k < n; k++)
				turned[k] = p[i + n - 1 - k];
			memcpy(p + i, turned, (size_t)n);
		}
	}
}

/* With the change "fields": what is at @off of the file */
static void say_field(const char *name, int i, uint64_t off, uint64_t size)
{
	if (change("fields"))
		printf("%s%d %llu %u\n", name, i, (unsigned long long)off, (unsigned int)size);
}

static void say_headers(const struct core *c, const struct load *note, int num_sections)
{
	static const struct { const char *name; int off, size; } phdr[] = {
		{ ".type", 0, 4 }, { ".flags", 4, 4 }, { ".offset", 8, 8 }, { ".vaddr", 16, 8 },
		{ ".paddr", 24, 8 }, { ".filesz", 32, 8 }, { ".memsz", 40, 8 },
	};

	say_field("ehdr", 0, 0, 64);
	for (int i = 0; i < num_sections; i++)
		say_field("shdr", i, 64 + 64 * (uint64_t)i, 64);
	for (int i = 0; change("fields") && i <= c->num_loads; i++) {
		for (size_t k = 0; k < sizeof(phdr) / sizeof(*phdr); k++)
			printf("phdr%d%s %d %d\n", i, phdr[k].name, 320 + 56 * i + phdr[k].off,
			       phdr[k].size);
	}
	say_field("notes", 0, note->off, note->size);
	for (int i = 0; i < c->num_loads; i++)
		say_field("sealed.memory", i, c->loads[i].off, c->loads[i].size);
}

static int seal(const char *from, const char *key, const char *to)
{
	FILE *f = fopen(to, "w+b");
	struct core c = { 0 };
	struct keys k;
	struct buf head = { 0 }, note_area = { 0 }, meta = { 0 }, compl = { 0 };
	struct section sections[4] = { 0 };
	struct load note = { 0 };
	const bool dotted = change("dotted");
	uint64_t off, memory = 0;
	unsigned char *p;
	int num = 1;

	must(f, "cannot write it");
	read_core(&c, from);
	make_keys(&k, key);
	put_notes(&note_area, &k, &c);
	put_compl(&compl, &k);
	for (int i = 0; change("reverse") && i < c.num_loads / 2; i++) {
		const struct load l = c.loads[i];

		c.loads[i] = c.loads[c.num_loads - 1 - i];
		c.loads[c.num_loads - 1 - i] = l;
	}
	for (int i = 0; i < c.num_loads; i++)
		memory += c.loads[i].size;
	note.off = 64 + 4 * 64 + 56 * (uint64_t)(c.num_loads + 1);
	note.size = note_area.len;
	off = note.off + note.size;
	if (change("early"))
		off += memory / 256 + compl.len + sizeof(names_dotted);

	/* the memory first: it makes the components */
	must(!fseek(f, (long)off, SEEK_SET), "cannot seek");
	put_memory(f, &c, &k, &meta);
	p = grow(&head, (size_t)note.off);
	for (int i = 0; i < c.num_loads; i++) {
		c.loads[i].off = off;
		phdr_fill(p + 320 + 56 * (i + 1), PT_LOAD, &c.loads[i]);
		off += c.loads[i].size;
	}
	phdr_fill(p + 320, PT_NOTE, &note);
	if (change("early"))
		off = note.off + note.size;
	must(!fseek(f, (long)off, SEEK_SET), "cannot seek");
	if (!change("no-meta"))
		sections[num++] = (struct section){ 1, 1, off, meta.len };
	say_field("meta", 0, off, meta.len);
	if (change("meta-past"))
		sections[num - 1].size = (uint64_t)1 << 62;
	if (!change("no-meta"))
		write_all(f, meta.p, meta.len);
	off = (uint64_t)ftell(f);
	say_field("compl", 0, off, compl.len);
	if (!change("no-compl")) {
		sections[num++] = (struct section){ dotted ? 14 : 13, 1, off, compl.len };
		write_all(f, compl.p, compl.len);
	}
	if (change("compl-past"))
		sections[num - 1].off = UINT64_MAX - 100;
	off = (uint64_t)ftell(f);
	sections[num++] = (struct section){ dotted ? 24 : 25, 3, off,
					    dotted ? sizeof(names_dotted) : sizeof(names_plain) };
	write_all(f, dotted ? names_dotted : names_plain, (size_t)sections[num - 1].size);
	say_field("names", 0, off, sections[num - 1].size);
	say_headers(&c, &note, num);
	for (int i = 1; i < num; i++)
		shdr_fill(p + 64 + 64 * i, &sections[i]);
	ehdr_fill(p, c.num_loads + 1, 320);
	put(p + 40, 64, 8);
	put(p + 60, (uint64_t)num, 2);
	put(p + 62, (uint64_t)num - 1, 2);
	rewind(f);
	write_all(f, head.p, head.len);
	write_all(f, note_area.p, note_area.len);
	free(head.p);
	free(note_area.p);
	free(meta.p);
	free(compl.p);
	free(c.others.p);
	free(c.areas);
	munmap(c.map, (size_t)c.size);
	return fclose(f);
}

int main(int argc, char **argv)
{
	fill_pieces();
	if (argc > 5 && !strcmp(argv[1], "plain"))
		return make_plain(argc - 2, argv + 2);
	if (argc > 4 && !strcmp(argv[1], "seal")) {
		changes = argv + 5;
		return seal(argv[2], argv[3], argv[4]);
	}
	fprintf(stderr, "usage: see the top of mkpv.c\n");
	return 2;
}

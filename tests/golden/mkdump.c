/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * mkdump [--expect | --fields | --inputs] TEXT [FILE] - make the dump FILE that TEXT describes
 *
 *   --expect   print what a reader of it should find
 *   --inputs   print by which words guestdump is told to read it, one per line
 *   --fields   make it, and print where its fields are: NAME OFFSET SIZE
 */
#include "mkdump.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct mach machs[] = {
	{ "x86_64", "x86_64", 62, true, false, 4096, 336, 112 + 16 * 8, "rip" },
	{ "i686", "i686", 3, false, false, 4096, 144, 72 + 12 * 4, "eip" },
	{ "aarch64", "aarch64", 183, true, false, 4096, 392, 112 + 32 * 8, "pc" },
	{ "armv7l", "armv7l", 40, false, false, 4096, 148, 72 + 15 * 4, "pc" },
	{ "ppc64", "ppc64", 21, true, true, 65536, 504, 112 + 32 * 8, "nip" },
	{ "ppc64le", "ppc64le", 21, true, false, 65536, 504, 112 + 32 * 8, "nip" },
	{ "s390x", "s390x", 22, true, true, 4096, 336, 112 + 8, "psw_addr" },
	{ "riscv64", "riscv64", 243, true, false, 4096, 376, 112, "pc" },
	{ "loongarch64", "loongarch64", 258, true, false, 16384, 480, 112 + 33 * 8, "pc" },
	{ "mips64", "unknown", 8, true, true, 4096, 480, 0, NULL },
};

static const char *text_name;
static int line_no;

void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "mkdump: %s:%d: ", text_name, line_no);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

bool option(const struct desc *d, const char *word)
{
	char padded[80];

	snprintf(padded, sizeof(padded), " %s ", word);
	return strstr(d->options, padded);
}

void put_data(struct out *o, const void *data, size_t len)
{
	while (o->len + len > o->room) {
		o->room = o->room ? 2 * o->room : 65536;
		o->buf = realloc(o->buf, o->room);
		if (!o->buf)
			die("out of memory");
	}
	memcpy(o->buf + o->len, data, len);
	o->len += len;
}

void pad_to(struct out *o, size_t off)
{
	static const unsigned char zeros[4096];

	while (o->len < off)
		put_data(o, zeros, off - o->len < sizeof(zeros) ? off - o->len : sizeof(zeros));
}

void put_text(struct out *o, const char *text, size_t len)
{
	size_t end = o->len + len;

	put_data(o, text, strnlen(text, len));
	pad_to(o, end);
}

void mark(struct out *o, const char *name, uint64_t off, unsigned int size)
{
	o->fields = realloc(o->fields, (o->num_fields + 1) * sizeof(*o->fields));
	if (!o->fields)
		die("out of memory");
	o->fields[o->num_fields] = (struct field){ .off = off, .size = size };
	snprintf(o->fields[o->num_fields++].name, sizeof(o->fields->name), "%s", name);
}

static void store(unsigned char *p, uint64_t value, unsigned int size, bool big)
{
	for (unsigned int i = 0; i < size; i++)
		p[big ? size - 1 - i : i] = (unsigned char)(value >> 8 * i);
}

void put(struct out *o, const char *name, uint64_t value, unsigned int size)
{
	unsigned char bytes[8];

	if (name)
		mark(o, name, o->len, size);
	store(bytes, value, size, o->big);
	put_data(o, bytes, size);
}

const char *numbered(const char *base, size_t i, const char *member)
{
	static char name[64];

	snprintf(name, sizeof(name), "%s%zu%s", base, i, member);
	return name;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	if (!text)
		die("a number is missing");
	n = strtoull(text, &end, 0);
	if (*end == 'K')
		n <<= 10, end++;
	else if (*end == 'M')
		n <<= 20, end++;
	if (end == text || *end)
		die("'%s' is not a number", text);
	return n;
}

static const struct field *find_field(const struct out *o, const char *name)
{
	for (size_t i = 0; i < o->num_fields; i++) {
		if (!strcmp(o->fields[i].name, name))
			return &o->fields[i];
	}
	return NULL;
}

/* "FIELD", "NUMBER" or either with "+NUMBER" or "-NUMBER" behind it */
static uint64_t place(const struct out *o, const char *text)
{
	char base[64];
	const char *sign = strpbrk(text, "+-");
	const struct field *f;
	uint64_t at;

	snprintf(base, sizeof(base), "%.*s", (int)(sign ? sign - text : (long)strlen(text)), text);
	f = find_field(o, base);
	at = f ? f->off : !strcmp(base, "end") ? o->len : number(base);
	return !sign ? at : *sign == '+' ? at + number(sign + 1) : at - number(sign + 1);
}

/* Before it is flattened only fields are patched; others are of the final file. */
void apply_patches(struct out *o, const struct desc *d, bool final)
{
	for (size_t i = 0; i < d->num_patches; i++) {
		const struct patch *p = &d->patches[i];
		const struct field *f = find_field(o, p->where);
		uint64_t at = final && *p->at ? place(o, p->at) : 0;
		unsigned int size;

		if (f) {
			store(o->buf + f->off, p->value, f->size, o->big);
		} else if (final && !strcmp(p->where, "cut")) {
			o->len = at < o->len ? at : o->len;
		} else if (final && sscanf(p->where, "u%u", &size) == 1) {
			if (at + size / 8 > o->len)
				die("%s is behind the end", p->at);
			store(o->buf + at, p->value, size / 8, o->big);
		} else if (final && !*d->flat) {
			die("there is no field %s", p->where);
		}
	}
}

/* The next word of the line that is being parsed */
static char *word(void)
{
	return strtok(NULL, " \t\n");
}

static void add_area(struct area *list, size_t *num, bool device, enum fill_kind fill)
{
	uint64_t start = number(word()), size = number(word());

	if (*num == MAX_ITEMS || !size)
		die("too many, or empty");
	list[(*num)++] = (struct area){ start, size, device, fill };
}

static void add_fill(struct desc *d, const char *kind)
{
	static const char *const kinds[] = { "text", "random", "zero", "absent" };

	for (int i = 0; i < 4; i++) {
		if (!strcmp(kind, kinds[i])) {
			add_area(d->fills, &d->num_fills, false, (enum fill_kind)i);
			return;
		}
	}
	die("fill with '%s'?", kind);
}

/* Bytes that differ from note to note and from place to place */
static void add_note(struct desc *d, const char *name, uint32_t type, size_t size, int cpu)
{
	struct note *n = &d->notes[d->num_notes++];

	*n = (struct note){ .type = type, .size = size, .cpu = cpu, .desc = malloc(size + 1) };
	snprintf(n->name, sizeof(n->name), "%s", name);
	for (size_t i = 0; i < size; i++)
		n->desc[i] = (unsigned char)(i * 7 + d->num_notes * 31);
}

static void add_cpus(struct desc *d, int num)
{
	for (int i = 0; i < num; i++) {
		add_note(d, "CORE", 1, d->mach->prstatus, i);
		add_note(d, "CORE", 2, 52, i);
	}
	d->cpus = num;
}

static void add_line(char **text, const char *line)
{
	size_t len = *text ? strlen(*text) : 0;

	*text = realloc(*text, len + strlen(line) + 2);
	if (!*text)
		die("out of memory");
	sprintf(*text + len, "%s\n", line);
}

/* A note of the whole machine, if there is a text for it */
static void add_text_note(struct desc *d, const char *name, uint32_t type, const char *text)
{
	if (!text)
		return;
	add_note(d, name, type, strlen(text), -1);
	memcpy(d->notes[d->num_notes - 1].desc, text, strlen(text));
}

static void add_patch(struct desc *d, const char *where)
{
	struct patch *p = &d->patches[d->num_patches++];

	if (!where)
		die("poke what?");
	snprintf(p->where, sizeof(p->where), "%s", where);
	if (!strcmp(where, "cut") || where[0] == 'u')
		snprintf(p->at, sizeof(p->at), "%s", word());
	if (strcmp(where, "cut"))
		p->value = number(word());
}

static void set_machine(struct desc *d, const char *name)
{
	for (size_t i = 0; i < sizeof(machs) / sizeof(machs[0]); i++) {
		if (!strcmp(machs[i].name, name))
			d->mach = &machs[i];
	}
	if (!d->mach)
		die("machine '%s'?", name);
	d->is64 = d->mach->is64;
	d->big = d->mach->big;
	d->page = d->mach->page;
}

static void set_text(char *to, size_t size)
{
	char *rest = strtok(NULL, "\n");

	snprintf(to, size, "%s", rest ? rest : "");
}

static void set_expected(struct desc *d)
{
	const char *what = word();

	if (!strcmp(what, "arch"))
		snprintf(d->expect_arch, sizeof(d->expect_arch), "%s", word());
	else if (!strcmp(what, "phys_base"))
		d->expect_phys_base = number(word()), d->has_phys_base = true;
	else if (!strcmp(what, "incomplete"))
		d->expect_incomplete = true;
	else if (!strcmp(what, "cpus"))
		d->expect_cpus = (int)number(word());
	else if (!strcmp(what, "lost"))
		add_area(d->lost, &d->num_lost, false, FILL_TEXT);
	else if (strcmp(what, "error") && strcmp(what, "refuses") && strcmp(what, "silent"))
		die("expect '%s'?", what);
}

static void parse_machine(struct desc *d, const char *key);

static void parse_line(struct desc *d, char *line)
{
	char *key = strtok(line, " \t\n");

	if (!key || *key == '#')
		return;
	if (!strcmp(key, "format"))
		snprintf(d->format, sizeof(d->format), "%s", word());
	else if (!strcmp(key, "machine"))
		set_machine(d, word());
	else if (!strcmp(key, "option"))
		for (char *w = word(); w; w = word())
			snprintf(d->options + strlen(d->options),
				 sizeof(d->options) - strlen(d->options), "%s ", w);
	else if (!strcmp(key, "ram") || !strcmp(key, "device"))
		add_area(d->ranges, &d->num_ranges, *key == 'd', FILL_TEXT);
	else if (!strcmp(key, "fill"))
		add_fill(d, word());
	else if (!strcmp(key, "expect"))
		set_expected(d);
	else if (!strcmp(key, "poke"))
		add_patch(d, word());
	else if (!strcmp(key, "cut"))
		add_patch(d, "cut");
	else
		parse_machine(d, key);
}

static void parse_machine(struct desc *d, const char *key)
{
	char text[256];

	if (!d->mach)
		die("'%s' before 'machine'", key);
	if (!strcmp(key, "page")) {
		d->page = (uint32_t)number(word());
	} else if (!strcmp(key, "cpus") && !strcmp(d->format, "s390")) {
		d->cpus = (int)number(word());
	} else if (!strcmp(key, "cpus")) {
		add_cpus(d, (int)number(word()));
	} else if (!strcmp(key, "note")) {
		char *name = word();
		uint32_t type = (uint32_t)number(word());
		size_t size = number(word());

		add_note(d, name, type, size, (int)number(word()));
	} else if (!strcmp(key, "vmcoreinfo")) {
		set_text(text, sizeof(text));
		add_line(&d->vmcoreinfo, text);
	} else if (!strcmp(key, "metadata")) {
		set_text(text, sizeof(text));
		add_line(&d->metadata, text);
	} else if (!strcmp(key, "release")) {
		set_text(d->release, sizeof(d->release));
	} else if (!strcmp(key, "version")) {
		set_text(d->version, sizeof(d->version));
	} else if (!strcmp(key, "nodename")) {
		set_text(d->nodename, sizeof(d->nodename));
	} else if (!strcmp(key, "kdump-version")) {
		d->kdump_version = (uint32_t)number(word());
	} else if (!strcmp(key, "status")) {
		d->status = (uint32_t)number(word());
	} else if (!strcmp(key, "level")) {
		d->level = (uint32_t)number(word());
	} else if (!strcmp(key, "codec")) {
		snprintf(d->codec, sizeof(d->codec), "%s", word());
	} else if (!strcmp(key, "phys_base")) {
		d->phys_base = number(word());
	} else if (!strcmp(key, "parts")) {
		d->parts = (unsigned int)number(word());
	} else if (!strcmp(key, "qemu-machine")) {
		set_text(d->qemu_machine, sizeof(d->qemu_machine));
	} else if (!strcmp(key, "block")) {
		set_text(d->block, sizeof(d->block));
	} else if (!strcmp(key, "flat")) {
		set_text(d->flat, sizeof(d->flat) - 1);
		strcat(d->flat, " ");
	} else {
		die("'%s'?", key);
	}
}

static void parse(struct desc *d, const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024];

	text_name = path;
	if (!f)
		die("cannot be opened");
	*d = (struct desc){ .kdump_version = 6, .level = 1, .codec = "zlib", .options = " ",
			     .parts = 1, .expect_cpus = -1 };
	while (fgets(line, sizeof(line), f)) {
		line_no++;
		parse_line(d, line);
	}
	fclose(f);
	if (!d->mach || !*d->format)
		die("'format' and 'machine' are needed");
	if (option(d, "big") || option(d, "little"))
		d->big = option(d, "big");
	if (option(d, "class32") || option(d, "class64"))
		d->is64 = option(d, "class64");
	if (!strcmp(d->format, "s390"))
		s390_notes(d);
	add_text_note(d, "VMCOREINFO", 0, d->vmcoreinfo);
	add_text_note(d, "GUESTDUMP", 0x47440001, d->metadata);
}

static const struct {
	const char *name;
	void (*make)(struct out *o, const struct desc *d);
	bool memory_only;
} formats[] = {
	{ "elf", make_elf, false },
	{ "kdump", make_kdump, false },
	{ "s390", make_s390, false },
	{ "lime", make_records, true },
	{ "avml", make_records, true },
	{ "raw", make_raw, true },
	{ "savevm", make_savevm, true },
	{ "libvirt-save", make_libvirt, true },
	{ "qcow2", make_qcow2, true },
	{ "win-dmp", make_win, true },
	{ "firecracker", make_firecracker, true },
	{ "cloud-hypervisor", make_cloud_hypervisor, true },
	{ "vmware", make_vmware, true },
	{ "hyperv", make_hyperv, true },
	{ "xen-core", make_xen_core, true },
};

static size_t find_format(const struct desc *d)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (!strcmp(formats[i].name, d->format))
			return i;
	}
	die("format '%s'?", d->format);
}

bool is_memory_only(const struct desc *d)
{
	return formats[find_format(d)].memory_only;
}

static void make(struct out *o, const struct desc *d)
{
	o->big = d->big;
	formats[find_format(d)].make(o, d);
	apply_patches(o, d, !*d->flat);
	if (*d->flat) {
		flatten(o, d);
		apply_patches(o, d, true);
	}
}

enum { MAX_COMPANIONS = 4 };

static struct companion {
	char name[64];
	void *data;
	size_t len;
	bool passed;
} companions[MAX_COMPANIONS];
static size_t num_companions;

void put_companion(const char *name, const void *data, size_t len, bool passed)
{
	struct companion *c = &companions[num_companions++];

	if (num_companions > MAX_COMPANIONS || !(c->data = malloc(len + 1)))
		die("too many files");
	snprintf(c->name, sizeof(c->name), "%s", name);
	memcpy(c->data, data, len);
	c->len = len;
	c->passed = passed;
}

/* The name of a companion: next to @path */
static const char *companion_name(const char *path, const struct companion *c)
{
	static char name[4096];
	const char *slash = strrchr(path, '/');

	snprintf(name, sizeof(name), "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, c->name);
	return name;
}

static void write_companions(const char *path)
{
	for (size_t i = 0; i < num_companions; i++) {
		const struct companion *c = &companions[i];
		FILE *f = fopen(companion_name(path, c), "wb");

		if (!f || fwrite(c->data, 1, c->len, f) != c->len || fclose(f))
			die("cannot write %s", c->name);
	}
}

/* Only so that leak checkers are content. */
static void release_all(struct desc *d, struct out *o)
{
	for (size_t i = 0; i < d->num_notes; i++)
		free(d->notes[i].desc);
	free(d->vmcoreinfo);
	free(d->metadata);
	for (size_t i = 0; i < num_companions; i++)
		free(companions[i].data);
	free(o->buf);
	free(o->fields);
}

/* The name of a part: that of the first is @path. */
static const char *part_path(const char *path, unsigned int part)
{
	static char name[4096];

	snprintf(name, sizeof(name), part ? "%s-%u" : "%s", path, part + 1);
	return name;
}

static void write_part(const struct out *o, const struct desc *d, const char *path)
{
	FILE *f = fopen(part_path(path, d->part), "wb");

	if (!f || fwrite(o->buf, 1, o->len, f) != o->len || fclose(f))
		die("cannot write %s", path);
	if (!strcmp(d->format, "raw") && option(d, "ranges-file"))
		write_ranges_file(d, path);
}

/* Parts in any order: the last one first. */
static void print_inputs(const struct desc *d, const char *path)
{
	if (!strcmp(d->format, "raw") && !option(d, "ranges-file"))
		print_raw_places(d);
	for (unsigned int i = d->parts; i-- > 0;) {
		if (i != 1 || !option(d, "no-second-part"))
			printf("%s\n", part_path(path, i));
	}
	for (size_t i = 0; i < num_companions; i++)
		if (companions[i].passed)
			printf("%s\n", companion_name(path, &companions[i]));
}

int main(int argc, char **argv)
{
	const bool expect = argc == 3 && !strcmp(argv[1], "--expect");
	const bool fields = argc == 4 && !strcmp(argv[1], "--fields");
	const bool inputs = argc == 4 && !strcmp(argv[1], "--inputs");
	static struct desc d;
	struct out o = { 0 };

	if (!expect && !fields && !inputs && argc != 3)
		return 2;
	parse(&d, argv[argc - (expect ? 1 : 2)]);
	if (expect)
		print_expected(&d);
	if (inputs) {
		make(&o, &d);
		print_inputs(&d, argv[argc - 1]);
	}
	for (; !expect && !inputs && d.part < d.parts; d.part++) {
		o.len = o.num_fields = 0;
		make(&o, &d);
		write_part(&o, &d, argv[argc - 1]);
		write_companions(argv[argc - 1]);
	}
	for (size_t i = 0; fields && i < o.num_fields; i++)
		printf("%s %llu %u\n", o.fields[i].name, (unsigned long long)o.fields[i].off,
		       o.fields[i].size);
	release_all(&d, &o);
	return 0;
}

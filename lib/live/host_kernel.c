/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * host_kernel.c - reading the memory and the types of the kernel of this host
 *
 * /proc/kcore is an ELF core whose segments are the kernel's virtual memory, in the byte order and
 * word size of this program; it can be read at any offset, and what is read is as it is now.
 * /proc/kallsyms has the addresses of symbols, or zeros where they are hidden from us.
 * /sys/kernel/btf has the types, see kernel/btf.h: a file for the kernel and one for each module.
 *
 * Facts: Linux's fs/proc/kcore.c and kernel/kallsyms.c.
 */
#include "host_kernel.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/io.h"

enum { MAX_TYPES = 64 << 20 };

static const bool host_is_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

struct host_kernel {
	int kcore;
	Elf64_Phdr *segments;
	size_t num_segments;
	struct btf kernel, module;      /* @module is empty if it is built in   */
};

static struct gdump_error *host_read_file(int fd, void *buf, size_t len, uint64_t off)
{
	size_t got = 0;
	const int errnum = io_pread(fd, buf, len, off, &got);

	if (errnum)
		return error_os(errnum, "cannot read /proc/kcore");
	return got == len ? NULL :
	       error_new(GDUMP_ERR_OS, "/proc/kcore ends at offset 0x%" PRIx64, off + got);
}

static struct gdump_error *host_read_segments(struct host_kernel *h)
{
	Elf64_Ehdr head;
	struct gdump_error *err = host_read_file(h->kcore, &head, sizeof(head), 0);

	if (err)
		return err;
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_phentsize != sizeof(*h->segments))
		return error_new(GDUMP_ERR_UNSUPPORTED, "/proc/kcore is not a 64-bit ELF core");
	h->segments = calloc(head.e_phnum + 1, sizeof(*h->segments));
	if (!h->segments)
		return error_nomem();
	h->num_segments = head.e_phnum;
	return host_read_file(h->kcore, h->segments, head.e_phnum * sizeof(*h->segments),
			      head.e_phoff);
}

static struct gdump_error *host_open_kcore(int *ret)
{
	*ret = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	if (*ret >= 0)
		return NULL;
	if (errno == ENOENT)
		return error_os(errno, "cannot open /proc/kcore: this host's kernel was built without it");
	return error_os(errno, "cannot open /proc/kcore, which needs root (CAP_SYS_RAWIO) and a kernel that is not locked down");
}

struct gdump_error *host_kernel_may_read(void)
{
	CLEANUP_FD int fd = -1;

	return host_open_kcore(&fd);
}

static struct gdump_error *host_read_all(int fd, unsigned char **ret, size_t *len)
{
	struct stat st;
	int errnum;

	if (fstat(fd, &st))
		return error_os(errno, "cannot look at it");
	if (st.st_size <= 0 || st.st_size > MAX_TYPES)
		return error_new(GDUMP_ERR_UNSUPPORTED, "its size of %lld bytes is not plausible",
				 (long long)st.st_size);
	*ret = malloc((size_t)st.st_size);
	if (!*ret)
		return error_nomem();
	errnum = io_pread(fd, *ret, (size_t)st.st_size, 0, len);
	return errnum ? error_os(errnum, "cannot read it") : NULL;
}

/* The types of the kernel ("vmlinux") or of a module; *@there: it has some. */
static struct gdump_error *host_read_types(const char *name, const struct btf *base,
					   struct btf *ret, bool *there)
{
	CLEANUP_FD int fd = -1;
	struct gdump_error *err;
	unsigned char *data = NULL;
	size_t len = 0;
	char path[64];

	snprintf(path, sizeof(path), "/sys/kernel/btf/%.32s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	*there = fd >= 0;
	if (fd < 0)
		return errno == ENOENT ? NULL : error_os(errno, "cannot open %s", path);
	err = host_read_all(fd, &data, &len);
	if (err)
		free(data);
	else
		err = btf_take(data, len, host_is_big, true, base, ret);
	return error_prefix(err, "%s", path);
}

struct gdump_error *host_kernel_open(const char *module, struct host_kernel **ret)
{
	CLEANUP_HOST_KERNEL struct host_kernel *h = calloc(1, sizeof(*h));
	struct gdump_error *err;
	bool there, is_module;

	if (!h)
		return error_nomem();
	h->kcore = -1;
	err = host_open_kcore(&h->kcore);
	if (!err)
		err = host_read_segments(h);
	if (!err)
		err = host_read_types("vmlinux", NULL, &h->kernel, &there);
	if (!err && !there)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "this host's kernel does not describe its types: there is no /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF)");
	if (!err)
		err = host_read_types(module, &h->kernel, &h->module, &is_module);
	if (err)
		return err;
	*ret = TAKE_PTR(h);
	return NULL;
}

void host_kernel_close(struct host_kernel *h)
{
	if (!h)
		return;
	btf_deinit(&h->module);
	btf_deinit(&h->kernel);
	free(h->segments);
	if (h->kcore >= 0)
		close(h->kcore);
	free(h);
}

const struct btf *host_kernel_types(const struct host_kernel *h)
{
	return h->module.num ? &h->module : &h->kernel;
}

struct gdump_error *host_kernel_symbol(const char *name, uint64_t *ret)
{
	CLEANUP_FREE char *line = NULL;
	FILE *f = fopen("/proc/kallsyms", "re");
	size_t cap = 0;
	bool found = false;
	char symbol[128];

	if (!f)
		return error_os(errno, "cannot open /proc/kallsyms");
	while (!found && getline(&line, &cap, f) > 0)
		found = strstr(line, name) &&
			sscanf(line, "%" SCNx64 " %*c %127s", ret, symbol) == 2 &&
			!strcmp(symbol, name);
	fclose(f);
	if (!found)
		return error_new(GDUMP_ERR_UNSUPPORTED, "this host's kernel has no symbol %s", name);
	if (!*ret)
		return error_new(GDUMP_ERR_OS,
				 "the addresses in /proc/kallsyms are hidden from us: run as root (CAP_SYSLOG), with kernel.kptr_restrict at most 1");
	return NULL;
}

struct gdump_error *host_kernel_read(const struct host_kernel *h, uint64_t vaddr, void *buf,
				     size_t len)
{
	for (size_t i = 0; i < h->num_segments; i++) {
		const Elf64_Phdr *p = &h->segments[i];

		if (p->p_type == PT_LOAD && vaddr >= p->p_vaddr &&
		    range_fits(vaddr - p->p_vaddr, len, p->p_memsz))
			return host_read_file(h->kcore, buf, len, p->p_offset + (vaddr - p->p_vaddr));
	}
	return error_new(GDUMP_ERR_NODATA, "this host's kernel has no memory at 0x%" PRIx64, vaddr);
}

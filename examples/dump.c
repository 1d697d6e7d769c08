/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * dump.c - dump a guest or convert a file, with libguestdump
 *
 *     dump qmp:/run/vm.sock vm.kdump      a running guest
 *     dump vm.elf vm.kdump                a dump file
 *
 * If this program is killed meanwhile, the guest stays paused: see gdump_guard().
 *
 * Build: cc dump.c -o dump $(pkg-config --cflags --libs guestdump)
 */
#include <guestdump.h>
#include <stdio.h>
#include <stdlib.h>

static bool show_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	fprintf(stderr, "\r%3d%%", total ? (int)(100 * done / total) : 100);
	return false;                   /* true would cancel the dump           */
}

static int fail(struct gdump_error *err)
{
	fprintf(stderr, "\ndump: %s\n", gdump_error_message(err));
	gdump_error_destroy(err);
	return 1;
}

int main(int argc, char **argv)
{
	/* members that are not named are 0, the default */
	const struct gdump_open_options open = { .size = sizeof(open), .pause_guest = true };
	struct gdump_result result = { .size = sizeof(result) };
	const struct gdump_write_options write = {
		.size = sizeof(write), .resume_guest = true, .progress = show_progress,
		.result = &result,
	};
	const struct gdump_info *info;
	struct gdump_error *err;
	struct gdump *g;

	if (argc != 3) {
		fprintf(stderr, "usage: dump INPUT OUTPUT\n");
		return 2;
	}
	err = gdump_open(argv[1], &open, &g);
	if (err)
		return fail(err);
	info = gdump_info(g);
	printf("%s: %s, %zu CPUs, Linux %s\n", argv[1], info->arch, info->num_cpus,
	       info->release ? info->release : "unknown");
	err = gdump_write(g, NULL, argv[2], &write);
	gdump_close(g);                 /* resumes the guest if it is still paused */
	if (result.partial_path)
		fprintf(stderr, "\ndump: what was written so far is in %s", result.partial_path);
	if (result.first_error)
		fprintf(stderr, "\ndump: a page is lost: %s", result.first_error);
	gdump_result_deinit(&result);
	if (err)
		return fail(err);
	printf("%s: %llu pages in %llu bytes\n", argv[2], (unsigned long long)result.pages,
	       (unsigned long long)result.bytes);
	return 0;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * cmd_copy.c - dump and convert: from a guest or a file to a file
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "confine.h"
#include "jobs.h"
#include "options.h"
#include "plan.h"
#include "progress.h"
#include "tool.h"

enum {
	OPT_BEGIN = 256, OPT_LENGTH, OPT_PROGRESS, OPT_FORCE, OPT_NO_DIRECT, OPT_TIMEOUT,
	OPT_DRY_RUN, OPT_LIVE, OPT_BUFFER, OPT_NO_CHECKSUM,
};

enum { MAX_LEVELS = 32 };
enum { OPT_DETACH = 1024, OPT_ALLOW_ENCRYPTED };
enum { OPT_SPLIT = 768, OPT_PAGING };

static const char short_options[] = "+f:FC:clpzEd:x:j:qh" INPUT_SHORT;

static const struct option long_options[] = {
	{ "format",     required_argument, NULL, 'f' },
	{ "flatten",    no_argument,       NULL, 'F' },
	{ "compress",   required_argument, NULL, 'C' },
	{ "dump-level", required_argument, NULL, 'd' },
	{ "exclude",    required_argument, NULL, 'x' },
	{ "split",      required_argument, NULL, OPT_SPLIT },
	{ "paging",     no_argument,       NULL, OPT_PAGING },
	{ "threads",    required_argument, NULL, 'j' },
	{ "begin",      required_argument, NULL, OPT_BEGIN },
	{ "length",     required_argument, NULL, OPT_LENGTH },
	{ "progress",   required_argument, NULL, OPT_PROGRESS },
	{ "quiet",      no_argument,       NULL, 'q' },
	{ "dry-run",    no_argument,       NULL, OPT_DRY_RUN },
	{ "force",      no_argument,       NULL, OPT_FORCE },
	{ "no-checksum", no_argument,      NULL, OPT_NO_CHECKSUM },
	{ "no-direct",  no_argument,       NULL, OPT_NO_DIRECT },
	{ "buffer",     required_argument, NULL, OPT_BUFFER },
	{ "live",       optional_argument, NULL, OPT_LIVE },
	{ "timeout",    required_argument, NULL, OPT_TIMEOUT },
	{ "detach",     no_argument,       NULL, OPT_DETACH },
	{ "allow-encrypted", no_argument,   NULL, OPT_ALLOW_ENCRYPTED },
	INPUT_OPTIONS,
	{ "help",       no_argument,       NULL, 'h' },
	{ 0 },
};

struct copy {
	const char *from, *to;
	char **parts;                   /* more files of what to read           */
	int num_parts;
	struct gdump_open_options open;
	struct input input;
	struct gdump_write_options write;
	struct gdump_result result;
	unsigned int drops[MAX_LEVELS], num_drops;      /* one after the other */
	bool dry_run;
	bool detach;
	enum progress_style progress;
	uint64_t paused_us;
	double canceled_at;             /* seconds: a guest that runs on was    */
};

static int bad_value(const struct command *cmd, const char *option, const char *value,
		     const char *wanted)
{
	return usage_error(cmd, "%s: '%s' is not %s", option, value, wanted);
}

/* Where an option that is just there is kept, or NULL: it is of another kind. */
static bool *flag_of(struct copy *c, int opt)
{
	switch (opt) {
	case 'F': return &c->write.flatten;
	case OPT_PAGING: return &c->write.paging;
	case OPT_DRY_RUN: return &c->dry_run;
	case OPT_NO_CHECKSUM: return &c->write.no_checksum;
	case OPT_FORCE: return &c->write.force;
	case OPT_DETACH: return &c->detach;
	case OPT_ALLOW_ENCRYPTED: return &c->open.allow_encrypted;
	case OPT_NO_DIRECT: return &c->open.no_direct;
	default: return NULL;
	}
}

/* What an option that names a codec stands for, or NULL. */
static const char *codec_of(int opt)
{
	switch (opt) {
	case 'c': return "zlib";
	case 'l': return "lzo";
	case 'p': return "snappy";
	case 'z': return "zstd";
	default: return NULL;
	}
}

/* One option; EXIT_DONE, or what to exit with. */
static int take_option(const struct command *cmd, struct copy *c, int opt, char *value)
{
	const char *codec = codec_of(opt);
	bool *flag = flag_of(c, opt), good;
	long n;

	if (input_take(&c->input, opt, value, &good))
		return good ? EXIT_DONE : bad_value(cmd, "--range", value,
						    "ADDR:SIZE or ADDR:SIZE@OFFSET, or is one too many");
	if (codec) {
		c->write.codec = codec;
		return EXIT_DONE;
	}
	if (flag) {
		*flag = true;
		return EXIT_DONE;
	}
	switch (opt) {
	case 'f':
		c->write.format = value;
		return EXIT_DONE;
	case 'E':
		c->write.format = "elf";
		return EXIT_DONE;
	case 'C':
		c->write.has_level = strchr(value, ':');
		if (!parse_codec(value, &c->write.codec, &c->write.level))
			return bad_value(cmd, "--compress", value, "CODEC or CODEC:LEVEL");
		return EXIT_DONE;
	case 'd':
		c->num_drops = parse_levels(value, c->drops, MAX_LEVELS);
		if (!c->num_drops)
			return bad_value(cmd, "--dump-level", value,
					 "a level from 0 to 31, or a list of such");
		return EXIT_DONE;
	case 'x':
		c->num_drops = 1;
		if (!parse_exclude(value, c->drops))
			return bad_value(cmd, "--exclude", value,
					 "a list of zero, cache, private, user, free");
		return EXIT_DONE;
	case 'j':
		if (!parse_number(value, 1, 256, &n))
			return bad_value(cmd, "--threads", value, "a number from 1 to 256");
		c->write.threads = (unsigned int)n;
		return EXIT_DONE;
	case OPT_SPLIT:
		if (!parse_number(value, 1, 1000, &n))
			return bad_value(cmd, "--split", value, "a number from 1 to 1000");
		c->write.split = (unsigned int)n;
		return EXIT_DONE;
	case OPT_BEGIN:
		if (!parse_size(value, &c->open.begin))
			return bad_value(cmd, "--begin", value, "an address");
		return EXIT_DONE;
	case OPT_LENGTH:
		if (!parse_size(value, &c->open.length) || !c->open.length)
			return bad_value(cmd, "--length", value, "a size above 0");
		return EXIT_DONE;
	case OPT_PROGRESS:
		if (!progress_style_find(value, &c->progress))
			return bad_value(cmd, "--progress", value,
					 "one of auto, bar, plain, json, none");
		return EXIT_DONE;
	case 'q':
		c->progress = PROGRESS_NONE;
		return EXIT_DONE;
	case OPT_BUFFER:
		if (!parse_size(value, &c->write.buffer))
			return bad_value(cmd, "--buffer", value, "a size");
		return EXIT_DONE;
	case OPT_LIVE:
		if (value && strcmp(value, "try"))
			return bad_value(cmd, "--live", value, "\"try\", or nothing");
		c->open.live = value ? GDUMP_LIVE_TRY : GDUMP_LIVE_YES;
		return EXIT_DONE;
	case OPT_TIMEOUT:
		if (!parse_number(value, 1, 3600, &n))
			return bad_value(cmd, "--timeout", value, "a number of seconds");
		c->open.timeout_ms = (unsigned int)n * 1000;
		return EXIT_DONE;
	default:
		return usage_error(cmd, "wrong option or value missing");
	}
}

static const char *long_name(int opt)
{
	const struct option *o = long_options;

	while (o->name && o->val != opt)
		o++;
	return o->name;
}

/* Options that only a running guest has a use for */
static bool needs_guest(int opt)
{
	static const int options[] = {
		OPT_BUFFER, OPT_LIVE, OPT_DETACH, OPT_ALLOW_ENCRYPTED, OPT_NO_DIRECT, OPT_TIMEOUT,
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (opt == options[i])
			return true;
	}
	return false;
}

/* -1: go on; else exit with it. */
static int take_arguments(const struct command *cmd, struct copy *c, int argc, char **argv)
{
	int opt;

	opterr = 0;
	/* options may stand anywhere, as people expect */
	while ((opt = getopt_long(argc, argv, short_options + 1, long_options, NULL)) != -1) {
		int status;

		if (opt == 'h') {
			print_help(cmd);
			return finish_stdout(EXIT_DONE);
		}
		if (opt == '?')
			return usage_error(cmd, "'%s': unknown option, or its value is missing",
					   argv[optind - 1]);
		if (needs_guest(opt) && cmd != &command_dump)
			return usage_error(cmd, "--%s is for running guests: guestdump dump has it",
					   long_name(opt));
		status = take_option(cmd, c, opt, optarg);
		if (status)
			return status;
	}
	if (argc - optind < 2 && !(c->dry_run && argc - optind == 1))
		return usage_error(cmd, "say what to read and where to write");
	if (argc - optind > 2 && cmd == &command_dump)
		return usage_error(cmd, "too many arguments");
	c->from = argv[optind];
	c->parts = argv + optind + 1;
	c->num_parts = argc - optind > 2 ? argc - optind - 2 : 0;
	c->to = argc - optind > 1 ? argv[argc - 1] : NULL;      /* NULL in a dry run */
	if (!c->num_drops)
		c->num_drops = 1;
	input_apply(&c->input, &c->open);
	if (c->open.begin && !c->open.length)
		c->open.length = UINT64_MAX - c->open.begin;
	return -1;
}

static void print_json(const struct copy *c, const struct gdump_info *info, const char *event)
{
	const struct gdump_result *r = &c->result;

	fprintf(stderr,
		"{\"event\": \"%s\", \"pages\": %llu, \"zero\": %llu, \"compressed\": %llu, \"uncompressed\": %llu, "
		"\"unreadable\": %llu, \"zero_filled\": %llu, \"page_size\": %u, \"bytes\": %llu, \"seconds\": %.3f, \"paused_ms\": %.3f, \"stalled_ms\": %.3f}\n",
		event, (unsigned long long)r->pages, (unsigned long long)r->zero,
		(unsigned long long)r->compressed, (unsigned long long)r->uncompressed,
		(unsigned long long)r->unreadable, (unsigned long long)r->zero_filled, info->page_size,
		(unsigned long long)r->bytes, progress_seconds(), (double)c->paused_us / 1000,
		(double)r->stalled_us / 1000);
}

static void say_paused(const struct copy *c, const struct gdump_info *info)
{
	if (info->is_guest && !info->was_running)
		say("the guest was not running before, and is not now");
	else if (info->is_guest)
		say("the guest was paused for %.1f ms and runs again", (double)c->paused_us / 1000);
}

static void print_summary(const struct copy *c, const struct gdump_info *info)
{
	const struct gdump_result *r = &c->result;
	const double seconds = progress_seconds();
	const uint64_t bytes = r->pages * info->page_size;

	if (progress_is_json()) {
		print_json(c, info, "done");
		return;
	}
	if (progress_is_quiet())
		return;
	say("%s: %s from %s of memory in %.2f s (%s/s); pages: %llu zero, %llu compressed, %llu as they are",
	    !strcmp(c->to, "-") ? "standard output" : c->to, size_text(r->bytes).text,
	    size_text(bytes).text, seconds,
	    size_text((uint64_t)((double)bytes / (seconds > 0.001 ? seconds : 0.001))).text,
	    (unsigned long long)r->zero, (unsigned long long)r->compressed,
	    (unsigned long long)r->uncompressed);
	say_paused(c, info);
	if (info->live)
		say("QEMU's snapshot stood still for %.1f ms at most", (double)r->stalled_us / 1000);
}

static int print_failure(const struct copy *c, struct gdump_error *err)
{
	int status = fail(err);

	if (!c->result.partial_path)
		return status;
	if (c->write.split > 1)
		say("%s to %s-%u.incomplete hold the %llu pages that were written, marked as incomplete",
		    c->result.partial_path, c->to, c->write.split, (unsigned long long)c->result.pages);
	else
		say("%s holds the %llu pages that were written, marked as incomplete",
		    c->result.partial_path, (unsigned long long)c->result.pages);
	return status == EXIT_FAILED ? EXIT_INCOMPLETE : status;
}

static struct gdump_error *write_level(struct copy *c, struct gdump *g, unsigned int drop)
{
	struct gdump_plan *plan;
	struct gdump_error *err = gdump_plan_create(g, drop, &plan);

	if (err)
		return err;
	say_plan(g, plan, drop);
	err = (c->detach ? detach_write : gdump_write)(g, plan, c->to, &c->write);
	gdump_plan_destroy(plan);
	return err;
}

/* What was cut short makes room for the next try. */
static void unlink_left(const struct copy *c)
{
	char path[PATH_MAX];

	if (c->result.partial_path)
		unlink(c->result.partial_path);
	for (unsigned int i = 1; c->result.partial_path && i <= c->write.split; i++) {
		snprintf(path, sizeof(path), "%s-%u.incomplete", c->to, i);
		unlink(path);
	}
}

/* Write with one level after the other until one fits on the disk. */
static struct gdump_error *write_levels(struct copy *c, struct gdump *g)
{
	struct gdump_error *err = NULL;

	for (unsigned int i = 0; i < c->num_drops; i++) {
		const bool last = i + 1 == c->num_drops;

		/* what is written next is of the same moment */
		c->write.resume_guest = last;
		err = write_level(c, g, c->drops[i]);
		if (!err || last || gdump_error_errno(err) != ENOSPC)
			return err;
		say("%s; trying level %u", gdump_error_message(err), c->drops[i + 1]);
		gdump_error_destroy(err);
		unlink_left(c);
		free(c->result.partial_path);
		free(c->result.first_error);
		c->result = (struct gdump_result){ .size = sizeof(c->result) };
	}
	return err;
}

static void print_estimate(const struct gdump_plan *plan, uint64_t pages, uint64_t bytes)
{
	const unsigned long long kept = gdump_plan_kept(plan);

	if (progress_is_json())
		printf("{\"event\": \"estimate\", \"pages\": %llu, \"kept\": %llu, \"bytes\": %llu}\n",
		       (unsigned long long)pages, kept, (unsigned long long)bytes);
	else
		printf("%llu of %llu pages would be kept; about %s\n", kept,
		       (unsigned long long)pages, size_text(bytes).text);
}

/* Say what would be written. */
static int dry_run(struct copy *c, struct gdump *g)
{
	struct gdump_plan *plan;
	struct gdump_error *err = gdump_plan_create(g, c->drops[0], &plan);
	uint64_t bytes;

	if (err)
		return fail(err);
	say_plan(g, plan, c->drops[0]);
	err = gdump_estimate(g, plan, &c->write, &bytes);
	if (!err)
		print_estimate(plan, gdump_info(g)->num_pages, bytes);
	gdump_plan_destroy(plan);
	return finish_stdout(err ? fail(err) : EXIT_DONE);
}

/* Of a guest that runs on: what was begun must come to its end. */
static bool show_live(void *arg, uint64_t done, uint64_t total)
{
	struct copy *c = arg;
	const double seconds = progress_seconds();

	if (!progress_show(NULL, done, total))
		return false;
	c->canceled_at = seconds;
	if (done)
		say("canceled; QEMU's snapshot is read to its end, or the guest would hang: less than %.0f s",
		    seconds * (double)(total - done) / (double)done + 1);
	else
		say("canceled; QEMU's snapshot is read to its end, or the guest would hang");
	return true;
}

static int copy_opened(struct copy *c, struct gdump *g)
{
	const struct gdump_info *info = gdump_info(g);
	struct gdump_error *err, *resume_err;
	int status = EXIT_DONE;

	/* a protected guest can run again only when its dump has been ended */
	if (info->is_guest && info->is_locked)
		signals_be_patient();
	if (info->live) {
		signals_unhurried();
		c->write.progress = show_live;
		c->write.progress_arg = c;
	}
	progress_start(c->progress, c->to ? c->to : c->from, info->page_size);
	if (c->dry_run)
		return dry_run(c, g);
	err = write_levels(c, g);
	resume_err = gdump_resume(g);
	c->paused_us = gdump_paused_us(g);
	progress_end();
	if (c->canceled_at > 0)
		say("the guest was paused for %.1f ms and runs; the rest of the snapshot took %.1f s",
		    (double)c->paused_us / 1000, progress_seconds() - c->canceled_at);
	if (err)
		status = print_failure(c, err);
	if (err && !resume_err && c->canceled_at <= 0 && !progress_is_quiet() && !progress_is_json())
		say_paused(c, info);
	if (resume_err) {
		int failed = fail(resume_err);

		status = status ? status : failed;
	}
	if (status)
		return status;
	print_summary(c, info);
	if (c->result.unreadable)
		say("%llu pages could not be read and are lost in %s; the first: %s",
		    (unsigned long long)c->result.unreadable, c->to,
		    c->result.first_error ? c->result.first_error : "unknown");
	if (c->result.zero_filled)
		say("%llu pages are not in the dump and are zero in %s: its format cannot leave them out",
		    (unsigned long long)c->result.zero_filled, c->to);
	if (info->num_lost_cpus)
		say("the registers of %zu of %zu CPUs could not be read and are zero in %s",
		    info->num_lost_cpus, info->num_cpus, c->to);
	if (c->result.lost_cpus)
		say("the registers of %llu of %zu CPUs are not in %s: its format has no place for them",
		    (unsigned long long)c->result.lost_cpus, info->num_cpus, c->to);
	if (info->incomplete)
		say("%s: was cut short itself, so %s is incomplete too", c->from, c->to);
	return c->result.unreadable || info->incomplete || info->num_lost_cpus ? EXIT_INCOMPLETE
									      : EXIT_DONE;
}

/* Whoever reads the FIFO @path may come later: wait before the guest is paused.
 * A descriptor that keeps it open, or -1: it is something else.
 */
static int wait_for_reader(const char *path)
{
	struct stat st;
	int fd;

	if (!path || lstat(path, &st) || !S_ISFIFO(st.st_mode))
		return -1;
	do {
		fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	} while (fd < 0 && errno == EINTR && !canceled(NULL));
	return fd;
}

static int copy_guarded(struct copy *c)
{
	struct gdump_error *err;
	struct gdump *g;
	int status;

	if (canceled(NULL))
		return EXIT_CANCELED;
	if (is_guest(c->from))
		c->open.guard_fd = guard_start();
	c->open.parts = (const char *const *)c->parts;
	c->open.num_parts = (size_t)c->num_parts;
	progress_start(c->progress, c->from, 1);
	err = gdump_open(c->from, &c->open, &g);
	progress_end();
	if (err) {
		status = fail(err);
	} else {
		status = copy_opened(c, g);
		gdump_close(g);
	}
	guard_stop(c->open.guard_fd);
	return status;
}

static int copy_run(const struct command *cmd, struct copy *c)
{
	struct gdump_error *err;
	int fifo, status;

	if (cmd == &command_dump && !is_guest(c->from))
		return usage_error(cmd, "%s: is not the name of a guest such as qmp:/run/vm.sock; for a file there is guestdump convert",
				   c->from);
	err = c->dry_run ? NULL : gdump_write_check(c->to, &c->write);
	if (err)
		return fail(err);
	if (c->detach && (c->dry_run || !strcmp(c->to, "-")))
		return usage_error(cmd, "--detach needs a file to write to");
	status = c->detach ? detach_start(c->from, c->to) : -1;
	if (status >= 0)
		return status;          /* we are the parent */
	confine(&c->input, c->from, c->parts, c->num_parts, c->to);
	fifo = wait_for_reader(c->to);
	status = copy_guarded(c);
	if (c->detach)
		detach_end(status);
	if (fifo >= 0)
		close(fifo);
	free(c->result.partial_path);
	free(c->result.first_error);
	return status;
}

static int cmd_copy(const struct command *cmd, int argc, char **argv)
{
	struct copy c = {
		.open = input_options(NULL, 0),
		.write = { .size = sizeof(c.write), .resume_guest = true,
			   .progress = progress_show },
		.result = { .size = sizeof(c.result) },
	};
	int status;

	c.open.pause_guest = true;
	c.write.spool_dir = c.open.spool_dir;
	status = take_arguments(cmd, &c, argc, argv);
	if (status >= 0)
		return status;
	c.write.result = &c.result;
	return copy_run(cmd, &c);
}

#define COPY_HELP \
	"  -f, --format NAME         kdump (default), elf, lime, raw, s390 or win-dmp;\n" \
	"                            QEMU's names work too\n" \
	"  -E                        short for --format elf\n" \
	"  -F, --flatten             kdump in makedumpfile's flattened form; chosen by itself\n" \
	"                            when OUTPUT cannot seek\n" \
	"  -C, --compress CODEC[:LEVEL]\n" \
	"                            how kdump compresses pages: zlib (default), lzo, snappy, zstd\n" \
	"                            or none; zlib:0 and zstd:-5 are faster than their default\n" \
	"  -c, -l, -p, -z            short for --compress zlib, lzo, snappy, zstd\n" \
	"  -d, --dump-level N        leave pages out, the sum of: 1 zero, 2 cache, 4 private cache,\n" \
	"                            8 user, 16 free; default 0: none\n" \
	"                            A list (11,31): the next one when the disk is full\n" \
	"  -x, --exclude LIST        the same by name: zero,cache,private,user,free\n" \
	"      --dry-run             say what would be kept and about how large it would be\n" \
	"      --begin ADDR          only memory from this guest-physical address on\n" \
	"      --length SIZE         only so many bytes of it; K, M, G, T are understood\n" \
	"      --paging              ELF with the guest's virtual addresses, for gdb\n" \
	"      --split N             kdump in N files, OUTPUT-1 to OUTPUT-N\n" \
	"  -j, --threads N           how many threads; default: one for each CPU\n" \
	"      --progress STYLE      auto, bar, plain, json or none, on standard error\n" \
	"  -q, --quiet               short for --progress none\n" \
	"      --force               replace OUTPUT if it exists\n" \
	"      --no-checksum         nothing behind the end of ELF and kdump for guestdump verify\n"

const struct command command_dump = {
	.name = "dump",
	.usage = "dump [OPTION]... GUEST OUTPUT",
	.summary = "Take a dump of a running guest (qmp:SOCKET) into a file or - for standard output",
	.help = COPY_HELP
		"      --buffer SIZE         read so much ahead of compressing, so that the guest goes on earlier;\n"
		"                            256M with --live or a dump level above 1\n"
		"      --live[=try]          the guest goes on: memory as it is at one moment, and a pause\n"
		"                            of milliseconds; with =try the usual pause where QEMU or\n"
		"                            the host cannot do it\n"
		"      --detach              return when the dump has begun, and print the number under\n"
		"                            which guestdump jobs shows it\n"
		"      --allow-encrypted      dump memory that is private to the guest (SEV, TDX) as the\n"
		"                            host sees it\n"
		"      --no-direct           let QEMU read the memory: slower, but needs no rights\n"
		"      --timeout SECONDS     how long to wait for an answer of QEMU (30)\n"
		CONFINE_HELP,
	.run = cmd_copy,
};

const struct command command_convert = {
	.name = "convert",
	.usage = "convert [OPTION]... INPUT... OUTPUT",
	.summary = "Write a dump file in another format",
	.help = "Several INPUTs are the parts of one dump; - is standard input.\n\n"
		COPY_HELP INPUT_HELP,
	.run = cmd_copy,
};

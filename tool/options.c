/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "options.h"

#include <stddef.h>
#include <string.h>

#include "arguments.h"

#define TO(member) offsetof(struct arguments, member)

/* A row for each key of watch.conf(5); where crashes are is of interest to both commands. */
#define POLICY_OPTION(key, letter, option, value, member, parse, complete, help) \
	{ letter, option, value, TO(policy.member), parse, \
	  CMD_WATCH | (TO(policy.member) == TO(policy.store) ? CMD_CRASHES : 0), help, complete },

static const char *written_format_at(size_t i)
{
	struct gdump_format_info f;

	for (size_t k = 0; gdump_format_at(k, &f); k++) {
		if (f.writes && !i--)
			return f.name;
	}
	return NULL;
}

static const char *built_codec_at(size_t i)
{
	struct gdump_codec_info c;

	for (size_t k = 0; gdump_codec_at(k, &c); k++) {
		if (c.library && !i--)
			return c.name;
	}
	return NULL;
}

const struct option_row option_rows[] = {
	{ .help = "Output" },
	{ 'f', "format",          "NAME",          TO(write.format),          parse_format,
	  CMD_COPY, "the format of OUTPUT (default: kdump; QEMU's names are accepted too)",
	  complete_written_formats, .name_at = written_format_at },
	{ 'E', NULL,              NULL,            TO(write.format),          parse_text,
	  CMD_COPY, "short for --format elf", .stands_for = "elf" },
	{ 'F', "flatten",         NULL,            TO(write.flatten),         parse_flag,
	  CMD_COPY, "kdump in makedumpfile's flattened form; the default for a pipe" },
	{ 'C', "compress",        "CODEC[:LEVEL]", TO(codec),                 parse_codec,
	  CMD_COPY, "how kdump compresses pages (default: zlib; zlib:0 and zstd:-5 are faster)",
	  complete_codecs, .name_at = built_codec_at },
	{ 'c', NULL,              NULL,            TO(codec),                 parse_codec,
	  CMD_COPY, "short for --compress zlib", .stands_for = "zlib" },
	{ 'l', NULL,              NULL,            TO(codec),                 parse_codec,
	  CMD_COPY, "short for --compress lzo", .stands_for = "lzo" },
	{ 'p', NULL,              NULL,            TO(codec),                 parse_codec,
	  CMD_COPY, "short for --compress snappy", .stands_for = "snappy" },
	{ 'z', NULL,              NULL,            TO(codec),                 parse_codec,
	  CMD_COPY, "short for --compress zstd", .stands_for = "zstd" },
	{ 0,   "split",           "N",             TO(write.split),           parse_files,
	  CMD_COPY, "write a kdump file in N parts, OUTPUT-1 to OUTPUT-N" },
	{ 0,   "paging",          NULL,            TO(write.paging),          parse_flag,
	  CMD_COPY, "ELF with the guest's virtual addresses, for gdb" },
	{ 0,   "no-checksum",     NULL,            TO(write.no_checksum),     parse_flag,
	  CMD_COPY, "do not append a checksum for guestdump verify" },
	{ 0,   "no-metadata",     NULL,            TO(open.no_metadata),      parse_flag,
	  CMD_COPY, "do not store which guest this is, when it was dumped, where and how" },
	{ 0,   "salvage",         NULL,            TO(write.salvage),         parse_flag,
	  CMD_CONVERT, "read all of INPUT first; use even tables that are damaged" },
	{ 0,   "force",           NULL,            TO(write.force),           parse_flag,
	  CMD_COPY | CMD_EXTRACT, "replace OUTPUT if it exists" },
	{ 0,   "strict-space",    NULL,            TO(strict_space),          parse_flag,
	  CMD_DUMP, "fail if the dump would not fit on the disk, instead of a warning" },
	{ 0,   "dry-run",         NULL,            TO(dry_run),               parse_flag,
	  CMD_COPY, "estimate the result, write nothing" },

	{ .help = "Pages" },
	{ 'd', "dump-level",      "N",             TO(levels),                parse_levels,
	  CMD_COPY, "omit pages, the sum of: 1 zero, 2 cache, 4 private cache, 8 user, 16 free; "
	  "default 0: none. A list (11,31): the next level if the disk is full", complete_levels },
	{ 'x', "exclude",         "LIST",          TO(levels),                parse_exclude,
	  CMD_COPY, "also omit these: zero,cache,private,user,free", complete_kinds },
	{ 0,   "begin",           "ADDR",          TO(open.begin),            parse_size,
	  CMD_COPY, "only memory from this guest-physical address on" },
	{ 0,   "length",          "SIZE",          TO(open.length),           parse_length,
	  CMD_COPY, "only this many bytes of it; suffixes K, M, G and T" },

	{ .help = "Running guest" },
	{ 0,   "live",            "[=try]",        TO(open.live),             parse_live,
	  CMD_DUMP, "keep the guest running: memory as of one moment, a pause of milliseconds; "
	  "with =try the usual pause where QEMU or the host does not support it", complete_live },
	{ 0,   "buffer",          "SIZE",          TO(write.buffer),          parse_size,
	  CMD_DUMP, "memory for pages that wait to be compressed, so that the guest is resumed "
	  "earlier; 256M with --live or a dump level above 1" },
	{ 0,   "max-pause",       "SECONDS",       TO(open.max_pause_ms),    parse_seconds,
	  CMD_DUMP, "resume the guest after this time, also if its memory is not read yet" },
	{ 0,   "detach",          NULL,            TO(detach),                parse_flag,
	  CMD_DUMP, "return when the dump has begun, and print the number under which guestdump "
	  "jobs lists it" },
	{ 0,   "no-direct",       NULL,            TO(open.no_direct),        parse_flag,
	  CMD_DUMP, "let QEMU read the memory: slower, but needs no privileges" },
	{ 0,   "allow-encrypted", NULL,            TO(open.allow_encrypted),  parse_flag,
	  CMD_DUMP, "dump memory that is private to the guest (SEV, TDX) as the host sees it" },
	{ 0,   "timeout",         "SECONDS",       TO(open.timeout_ms),       parse_seconds,
	  CMD_GUEST, "how long to wait for an answer from QEMU (30)" },

	{ 0,   "pause",           NULL,            TO(open.pause_guest),      parse_flag,
	  CMD_STACKS | CMD_REPORT | CMD_EXTRACT, "pause the guest meanwhile, so that all is of one moment" },

	{ .help = "Display" },
	{ 'p', "pages",           NULL,            TO(pages),                 parse_flag,
	  CMD_INFO, "how many pages are free, user data, page cache and so on" },
	{ 'r', "registers",       NULL,            TO(registers),             parse_flag,
	  CMD_INFO, "all registers of each CPU that the dump has, also floating point, vector "
	  "and control ones" },
	{ 't', "tasks",           NULL,            TO(tasks),                 parse_flag,
	  CMD_INFO, "all tasks of the guest's kernel: threads and processes" },
	{ 'a', "all",             NULL,            TO(stacks),                parse_stacks,
	  CMD_STACKS, "of all CPUs and all tasks", .stands_for = "all" },
	{ 'a', "all",             NULL,            TO(report.all),            parse_flag,
	  CMD_REPORT, "all tasks and all records of the log" },
	{ 's', "section",         "LIST",          TO(sections),              parse_sections,
	  CMD_REPORT, "only these, with commas between them", complete_sections,
	  .name_at = gdump_report_section },
	{ 0,   "html",            "FILE",          TO(html),                  parse_text,
	  CMD_REPORT, "write a page for a browser to a new FILE, or - for standard output", complete_files },
	{ 'b', "blocked",         NULL,            TO(stacks),                parse_stacks,
	  CMD_STACKS, "of tasks that are blocked, state D", .stands_for = "blocked" },
	{ 't', "task",            "PID",           TO(stacks),                parse_task,
	  CMD_STACKS, "of this thread, or of all threads of this process" },
	{ 0,   "cpu",             "N",             TO(stacks),                parse_cpu,
	  CMD_STACKS, "of this CPU, the first one is 0" },
	{ 0,   "callers",         NULL,            TO(callers),               parse_flag,
	  CMD_DMESG, "the thread or CPU that each record is from" },
	{ 0,   "watch",           "ID",            TO(watch),                 parse_job,
	  CMD_JOBS, "follow this job until it ends; the exit status is that of the job",
	  complete_jobs },
	{ 0,   "json",            NULL,            TO(json),                  parse_flag,
	  CMD_SHOW, "the output as JSON" },

	{ .help = "Extract" },
	{ 0,   "process",         "PID",           TO(process),               parse_process,
	  CMD_EXTRACT, "an ELF core of this process" },
	{ 0,   "vaddr",           "ADDR:SIZE",     TO(memory),                parse_memory,
	  CMD_EXTRACT, "only this virtual memory of the process, or without --process of the "
	  "kernel, as it is" },
	{ 'o', "output",          "FILE",          TO(output),                parse_text,
	  CMD_EXTRACT, "write it to this file", complete_files },

	{ .help = "Mount" },
	{ 0,   "foreground",      NULL,            TO(foreground),            parse_flag,
	  CMD_MOUNT, "stay in the foreground, and report errors on standard error" },
	{ 'o', "options",         "LIST",          TO(allow_other),           parse_mount_options,
	  CMD_MOUNT, "allow_other: all users may read the files; ro is always so", complete_mount_options },

	{ .help = "Crashes" },
	{ 0,   "config",          "FILE",          TO(config),                parse_text,
	  CMD_WATCH | CMD_CRASHES, "read this file and the drop-ins in FILE.d instead of "
	  "/etc/guestdump/watch.conf", complete_files },
	{ 0,   "check",           NULL,            TO(check),                 parse_flag,
	  CMD_WATCH, "read the configuration, print what would be done, and end" },
	WATCH_KEYS(POLICY_OPTION)

	{ .help = "Input" },
	{ 0,   "input-format",    "NAME",          TO(open.format),           parse_text,
	  CMD_READ, "the format of INPUT, where it cannot be detected: raw",
	  complete_read_formats },
	{ 0,   "range",           "ADDR:SIZE[@OFFSET]", TO(extents),          parse_extent,
	  CMD_OPEN, "INPUT is raw, or is pid:N, and holds SIZE bytes of memory from ADDR on at "
	  "OFFSET (default: ADDR); may be given several times" },
	{ 0,   "snapshot",        "NAME",          TO(open.snapshot),        parse_text,
	  CMD_READ, "of several snapshots in INPUT (qcow2): the one with this name or id" },
	{ 0,   "kernel",          "NAME",          TO(open.kernel),           parse_text,
	  CMD_OPEN, "of several kernels in the memory: the one with this release, build id or "
	  "KERNELOFFSET, or running: the one that has not crashed" },
	{ 'k', "key",             "FILE",          TO(open.key_file),         parse_key,
	  CMD_READ, "decrypt: FILE holds the customer communication key of the protected guest's "
	  "owner", complete_files },
	{ 0,   "strict",          NULL,            TO(open.strict),           parse_flag,
	  CMD_READ, "with --key: refuse an INPUT that is damaged in any part" },

	{ .help = "Object storage" },
	{ 0,   "s3-endpoint",     "URL",           TO(store.endpoint),        parse_text,
	  CMD_OPEN, "the server of s3://BUCKET/KEY, if it is not Amazon's" },
	{ 0,   "s3-region",       "NAME",          TO(store.region),          parse_text,
	  CMD_OPEN, "the region of that server" },

	{ .help = "General" },
	{ 'j', "threads",         "N",             TO(write.threads),         parse_threads,
	  CMD_BULK | CMD_MOUNT, "number of threads; default: one for each CPU", .alias = "num-threads" },
	{ 0,   "nice",            NULL,            TO(nice),                  parse_flag,
	  CMD_BULK, "let other programs use the CPUs and disks first" },
	{ 0,   "progress",        "STYLE",         TO(progress),              parse_progress,
	  CMD_BULK, "auto, bar, plain, json or none, on standard error", complete_progress },
	{ 0,   "json",            NULL,            TO(progress),              parse_progress,
	  CMD_COPY, "short for --progress json", .stands_for = "json" },
	{ 'q', "quiet",           NULL,            TO(progress),              parse_progress,
	  CMD_BULK, "short for --progress none", .stands_for = "none" },
	{ 'v', "verbose",         NULL,            TO(verbosity),             parse_count,
	  CMD_OPEN | CMD_GUESTS, "report on standard error what is done and why; -vv in detail" },
	{ 0,   "no-confine",      NULL,            TO(no_confine),            parse_flag,
	  CMD_OPEN, "run without the sandbox" },
	{ 'h', "help",            NULL,            TO(help),                  parse_flag,
	  CMD_ALL, "show this" },
	{ 0 }
};

const struct exclusive_options exclusive_options[] = {
	{ "live",    "no-direct" },
	{ "detach",  "dry-run"   },
	{ "split",   "flatten"   },
	{ "html",    "json"      },
	{ 0 }
};

static const char no_vmlinux[] = "no vmlinux and no vmcoreinfo file is needed";
static const char not_needed[] = "omit it, guestdump does not need it";
static const char no_xen[] = "guestdump does not read dumps of Xen";

const struct foreign_option foreign_options[] = {
	/* makedumpfile */
	{ "-x",               no_vmlinux },
	{ "-i",               no_vmlinux },
	{ "-f",               "-f is --format; --force replaces an existing file" },
	{ "-v",               "guestdump --version prints the version" },
	{ "-g",               "guestdump info --json prints the VMCOREINFO" },
	{ "-D",               "-v reports what is done, -vv in detail" },
	{ "-R",               "guestdump convert reads a flattened file like any other" },
	{ "--rearrange",      "guestdump convert reads a flattened file like any other" },
	{ "--reassemble",     "guestdump convert PART... OUTPUT joins the parts of a split dump" },
	{ "--split",          "--split N writes OUTPUT-1 to OUTPUT-N" },
	{ "--dump-dmesg",     "guestdump dmesg prints the kernel's log" },
	{ "--partial-dmesg",  "guestdump dmesg prints the kernel's log" },
	{ "--mem-usage",      "guestdump info --pages shows how many pages there are of each kind" },
	{ "--message-level",  "--quiet reports less, -v and -vv more" },
	{ "--show-stats",     "guestdump reports the number of pages, --dry-run estimates it" },
	{ "--check-params",   "--dry-run checks and writes nothing" },
	{ "--config",         "guestdump cannot erase kernel data" },
	{ "--eppic",          "guestdump cannot erase kernel data" },
	{ "--vtop",           "guestdump does not translate addresses; crash does: vtop" },
	{ "--cyclic-buffer",  not_needed },
	{ "--non-cyclic",     not_needed },
	{ "--non-mmap",       not_needed },
	{ "--splitblock-size", not_needed },
	{ "--work-dir",       "the environment variable TMPDIR names the directory" },
	{ "--xen-syms",       no_xen },
	{ "--xen-vmcoreinfo", no_xen },
	/* virsh dump */
	{ "--memory-only",    "omit it, a dump never contains devices" },
	{ "--bypass-cache",   not_needed },
	{ "--crash",          "the guest is always resumed; stop it afterwards: virsh destroy" },
	{ "--reset",          "the guest is always resumed; reset it afterwards: virsh reset" },
	{ "--domain",         "GUEST is an argument: qmp:SOCKET" },
	{ "--file",           "OUTPUT is an argument" },
	/* crash */
	{ "--osrelease",      "guestdump info shows the kernel's release" },
	{ "--log",            "guestdump dmesg prints the kernel's log" },
	{ "--minimal",        "guestdump info and guestdump dmesg need no vmlinux" },
	{ 0 }
};

const char *foreign_advice(const char *name)
{
	const size_t len = strcspn(name, "=");

	for (const struct foreign_option *row = foreign_options; row->name; row++) {
		if (strlen(row->name) == len && !strncmp(row->name, name, len))
			return row->advice;
	}
	return NULL;
}

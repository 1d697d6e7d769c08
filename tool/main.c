/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * main.c - the table of commands
 */
#include <string.h>

#include "event.h"
#include "failure.h"
#include "guests.h"
#include "json.h"
#include "options.h"
#include "origin.h"
#include "store.h"
#include "suggest.h"
#include "tool.h"

static const struct command commands[] = {
	{ "dump", CMD_DUMP, { { "GUEST", complete_guests }, { "OUTPUT", complete_files } },
	  "qmp:/run/vm.sock vm.kdump", cmd_dump,
	  "Take a dump of a running guest",
	  "GUEST is qmp:SOCKET, the QMP socket of QEMU, pid:N, the process of a guest of KVM, or the "
	  "name or process of a guest that guestdump guests lists. OUTPUT is a file, or - for standard "
	  "output." },
	{ "convert", CMD_CONVERT, { { "INPUT...", complete_files }, { "OUTPUT", complete_files } },
	  "vm.kdump vm.elf", cmd_convert,
	  "Write a dump file in another format",
	  "Several INPUTs are the parts of one dump; - is standard input or output." },
	{ "info", CMD_INFO, { { "INPUT...|GUEST", complete_inputs } }, "vm.kdump", cmd_info,
	  "Show the format, machine, kernel, memory and CPUs of a dump or a guest",
	  "Several INPUTs are the parts of one dump; - is standard input." },
	{ "verify", CMD_VERIFY, { { "INPUT...", complete_files } }, "vm.kdump", cmd_verify,
	  "Check every byte of dumps: that pages decompress, bounds, checksums",
	  "The INPUTs may also be the parts of one dump; - is standard input." },
	{ "dmesg", CMD_DMESG, { { "INPUT...|GUEST", complete_inputs } }, "vm.kdump", cmd_dmesg,
	  "Print the log of the guest's kernel; no vmlinux is needed", NULL },
	{ "stacks", CMD_STACKS, { { "INPUT...|GUEST", complete_inputs } }, "vm.kdump", cmd_stacks,
	  "Show which functions of the guest's kernel its CPUs and tasks are in",
	  "Without --all, --blocked, --task or --cpu: of all CPUs and of blocked tasks." },
	{ "report", CMD_REPORT, { { "INPUT...|GUEST", complete_inputs } }, "vm.kdump", cmd_report,
	  "Show what a guest is doing, and what is wrong with it", NULL },
	{ "extract", CMD_EXTRACT, { { "INPUT|GUEST", complete_inputs } }, "--process 1 --output core.1 vm.kdump",
	  cmd_extract, "Write a process of a Linux guest as an ELF core, or virtual memory", NULL },
	{ "mount", CMD_MOUNT, { { "INPUT|GUEST", complete_inputs }, { "MOUNTPOINT", complete_files } },
	  "vm.kdump /mnt", cmd_mount,
	  "Show a dump or a running guest as files: ELF core, memory, log",
	  "MOUNTPOINT is a directory. Of a running guest, the core is called vmcore.live." },
	{ "umount", CMD_UMOUNT, { { "MOUNTPOINT", complete_files } }, "/mnt", cmd_umount,
	  "Remove what guestdump mount shows", NULL },
	{ "list", CMD_LIST, { { NULL, NULL } }, NULL, cmd_list,
	  "Show the formats, codecs, architectures and sources of this build", NULL },
	{ "guests", CMD_GUESTS, { { NULL, NULL } }, NULL, cmd_guests,
	  "List the running guests of this host and how each can be reached", NULL },
	{ "watch", CMD_WATCH, { { "[GUEST...]", complete_guests } }, NULL, cmd_watch,
	  "Keep reports and dumps of guests that crash, as a service",
	  "GUEST is a name or process that guestdump guests lists, or how to open the guest; without "
	  "one, all guests of this host are watched." },
	{ "jobs", CMD_JOBS, { { NULL, NULL } }, NULL, cmd_jobs,
	  "Show the dumps that were started with guestdump dump --detach", NULL },
	{ "cancel", CMD_CANCEL, { { "ID", complete_jobs } }, "24442", cmd_cancel,
	  "Stop a dump that was started with guestdump dump --detach", NULL },
	{ "crashes", CMD_CRASHES, { { "[list|show|rm", complete_crash_verbs }, { "ID...]", complete_crashes } },
	  "show 1c2f88a0", cmd_crashes,
	  "List, show and remove what guestdump watch has kept of crashes",
	  "Without a word, all of them are listed. ID may be shortened; show also takes the name of a guest." },
};

enum { NUM_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

const struct command *command_at(size_t i)
{
	return i < NUM_COMMANDS ? &commands[i] : NULL;
}

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < NUM_COMMANDS; i++) {
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

static int print_overview(FILE *out)
{
	fputs("guestdump takes the memory of a virtual machine from the outside. A kdump file,\n"
	      "the default, opens in crash, drgn, makedumpfile and libkdumpfile; an ELF file\n"
	      "in gdb as well.\n\n", out);
	for (size_t i = 0; i < NUM_COMMANDS; i++) {
		fputs("  ", out);
		print_usage(out, &commands[i]);
		fprintf(out, "        %s\n", commands[i].summary);
	}
	fputs("\n"
	      "  guestdump COMMAND --help\n"
	      "        the options of a command; the manual is guestdump(1)\n"
	      "  guestdump --version\n\n"
	      "Example: guestdump dump qmp:/run/vm.sock vm.kdump\n", out);
	return out == stdout ? finish_stdout(EXIT_DONE) : EXIT_USAGE;
}

/* @argv[0] is an option, as the first word is for makedumpfile. */
static int missing_command(int argc, char **argv)
{
	char words[200] = "";
	const struct command *named = NULL;
	bool is_guest_named = false;
	size_t used = 0;

	for (int i = 0; i < argc; i++) {
		const char *advice = *argv[i] == '-' ? foreign_advice(argv[i]) : NULL;

		if (advice && (i == 0 || argv[i][1] == '-' || argv[i][1] == 'R'))
			return failed(FAILURE_USAGE, 0, "'%s' is not a command; %s", argv[i], advice);
		is_guest_named |= is_guest(argv[i]);
		if (!named && command_find(argv[i])) {
			named = command_find(argv[i]);
			continue;
		}
		if (used < sizeof(words))
			used += (size_t)snprintf(words + used, sizeof(words) - used, " %s", argv[i]);
	}
	if (argc == 1)
		return failed(FAILURE_USAGE, 0, "there is no option '%s' without a command; guestdump --help lists the commands",
			      argv[0]);
	return failed(FAILURE_USAGE, 0, "the command comes first: guestdump %s%s%s",
		      named ? named->name : is_guest_named ? "dump" : "convert", used < sizeof(words) ? words : " ",
		      used < sizeof(words) ? "" : "...");
}

static int unknown_command(int argc, char **argv)
{
	const char *name = argv[0];
	struct suggestion best = suggestion_for(name, strlen(name));

	for (size_t i = 0; i < NUM_COMMANDS; i++)
		suggestion_offer(&best, commands[i].name);
	if (*name == '-')
		return missing_command(argc, argv);
	if (best.name)
		return failed(FAILURE_USAGE, 0, "'%s' is not a command; did you mean '%s'?", name, best.name);
	return failed(FAILURE_USAGE, 0, "'%s' is not a command; guestdump --help lists them", name);
}

static int too_many(const char *word)
{
	return failed(FAILURE_USAGE, 0, "there is one argument too many: '%s'", word);
}

static int print_version(int argc, char **argv)
{
	if (argc > 1)
		return too_many(argv[1]);
	printf("guestdump %s\n", gdump_version());
	return finish_stdout(EXIT_DONE);
}

/* "help" and "help COMMAND" */
static int help(int argc, char **argv)
{
	const struct command *cmd = argc > 1 ? command_find(argv[1]) : NULL;

	if (argc > 2)
		return too_many(argv[2]);
	if (argc > 1 && !cmd)
		return unknown_command(1, argv + 1);
	if (!cmd)
		return print_overview(stdout);
	print_help(cmd);
	return finish_stdout(EXIT_DONE);
}

/* Run a word that is not in the table; returns false if @argv[0] is none of these. */
static bool run_special(int argc, char **argv, int *status)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} specials[] = {
		{ "help", help }, { "--help", help }, { "-h", help },
		{ "--version", print_version }, { "-V", print_version },
		{ "complete", cmd_complete },           /* see complete.h */
	};

	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		if (!strcmp(argv[0], specials[i].name)) {
			*status = specials[i].run(argc, argv);
			return true;
		}
	}
	return false;
}

/* Errors in the command line are printed as JSON, too, wherever the option for it is. */
static void json_find_out(const struct command *cmd, int argc, char **argv)
{
	bool json = false, events = false;

	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++) {
		json |= !strcmp(argv[i], "--json");
		events |= !strcmp(argv[i], "--progress=json") ||
			  (!strcmp(argv[i], "--progress") && i + 1 < argc && !strcmp(argv[i + 1], "json"));
	}
	/* where OUTPUT may be standard output, --json is short for --progress json */
	if (cmd && cmd->bit & CMD_COPY)
		json_output_set(false, json || events);
	else
		json_output_set(json, events && cmd && cmd->bit & CMD_BULK);
}

int main(int argc, char **argv)
{
	struct arguments args;
	const struct command *cmd;
	int status;

	descriptors_init();
	messages_init();
	json_init();
	if (argc < 2)
		return print_overview(stderr);
	if (run_special(argc - 1, argv + 1, &status))
		return status;
	cmd = command_find(argv[1]);
	json_find_out(cmd, argc - 2, argv + 2);
	if (!cmd)
		return unknown_command(argc - 1, argv + 1);
	signals_init();
	origin_init(argc, argv);
	status = arguments_parse(&args, cmd, argc - 1, argv + 1);
	if (status != ARGUMENTS_GOOD)
		return status;
	status = cmd->bit & CMD_OPEN ? store_find(&args) : ARGUMENTS_GOOD;
	if (status != ARGUMENTS_GOOD)
		return status;
	status = cmd->bit & CMD_GUEST ? guests_resolve(&args) : EXIT_DONE;
	return status ? status : cmd->run(&args);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "tool.h"

static const struct command *const commands[] = {
	&command_dump, &command_convert, &command_info, &command_verify, &command_dmesg,
	&command_list, &command_jobs, &command_cancel,
};

enum { NUM_COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int print_overview(FILE *out)
{
	fputs("guestdump takes the memory of a virtual machine from the outside and writes dumps\n"
	      "that crash, drgn, gdb, makedumpfile and libkdumpfile open.\n\n", out);
	for (int i = 0; i < NUM_COMMANDS; i++)
		fprintf(out, "  guestdump %s\n        %s\n", commands[i]->usage, commands[i]->summary);
	fputs("\n"
	      "  guestdump COMMAND --help\n"
	      "        the options of a command; the manual is guestdump(1)\n"
	      "  guestdump --version\n\n"
	      "Example: guestdump dump qmp:/run/vm.sock vm.kdump\n", out);
	return out == stdout ? finish_stdout(EXIT_DONE) : EXIT_USAGE;
}

static const struct command *find_command(const char *name)
{
	for (int i = 0; i < NUM_COMMANDS; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	const char *name = argc > 1 ? argv[1] : NULL;

	messages_init();

	if (!name)
		return print_overview(stderr);
	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		cmd = argc > 2 ? find_command(argv[2]) : NULL;
		if (!cmd)
			return print_overview(stdout);
		print_help(cmd);
		return finish_stdout(EXIT_DONE);
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("guestdump %s\n", gdump_version());
		return finish_stdout(EXIT_DONE);
	}
	cmd = find_command(name);
	if (!cmd) {
		say("'%s' is not a command; guestdump --help shows what there is", name);
		return EXIT_USAGE;
	}
	json_init();
	signals_init();
	return cmd->run(cmd, argc - 1, argv + 1);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "tool.h"

static int print_json_lists(void)
{
	json_t *formats = json_array(), *codecs = json_array(), *arches = json_array(),
	       *sources = json_array();
	struct gdump_format_info f;
	struct gdump_codec_info c;
	const char *name;

	for (size_t i = 0; gdump_format_at(i, &f); i++)
		json_array_append_new(formats, json_pack("{s:s, s:s, s:b, s:b}", "name", f.name,
							 "summary", f.summary, "reads", f.reads,
							 "writes", f.writes));
	for (size_t i = 0; gdump_codec_at(i, &c); i++)
		json_array_append_new(codecs, json_pack("{s:s, s:s?}", "name", c.name, "library",
							c.library));
	for (size_t i = 0; (name = gdump_arch_name(i)); i++)
		json_array_append_new(arches, json_string(name));
	for (size_t i = 0; (name = gdump_source_name(i)); i++)
		json_array_append_new(sources, json_string(name));
	json_line(stdout, "list", json_pack("{s:s, s:o, s:o, s:o, s:o}", "version", gdump_version(),
					    "formats", formats, "codecs", codecs, "architectures",
					    arches, "sources", sources));
	return finish_stdout(EXIT_DONE);
}

static int print_lists(void)
{
	struct gdump_format_info f;
	struct gdump_codec_info c;
	const char *name;

	printf("formats\n");
	for (size_t i = 0; gdump_format_at(i, &f); i++)
		printf("  %-16s %s%s  %s\n", f.name, f.reads ? "r" : "-", f.writes ? "w" : "-",
		       f.summary);
	printf("codecs\n");
	for (size_t i = 0; gdump_codec_at(i, &c); i++)
		printf("  %-16s %s\n", c.name, c.library ? c.library : "not in this build");
	printf("architectures\n ");
	for (size_t i = 0; (name = gdump_arch_name(i)); i++)
		printf(" %s", name);
	printf("\nrunning guests\n ");
	for (size_t i = 0; (name = gdump_source_name(i)); i++)
		printf(" %s", name);
	printf("\n");
	return finish_stdout(EXIT_DONE);
}

int cmd_list(struct arguments *args)
{
	return args->json ? print_json_lists() : print_lists();
}

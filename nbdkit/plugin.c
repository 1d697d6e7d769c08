/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * plugin.c - nbdkit guestdump file=INPUT: a dump of any format as an ELF core, over NBD
 *
 * The manual is nbdkit-guestdump-plugin(1).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include <guestdump.h>

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

static struct {
	struct gdump_open_options open;
	char *file, *key;
	bool has_range;                 /* serve this guest-physical memory, not the core */
	uint64_t start, size;
} config = { .open.size = sizeof(config.open) };

static struct gdump *dump;
static struct gdump_view *view;

static void warn_nbdkit(void *arg, const char *message)
{
	(void)arg;
	nbdkit_debug("warning: %s", message);
}

/* Report an error of the library and free it; returns what callbacks return for a failure. */
static int fail(struct gdump_error *err)
{
	nbdkit_error("%s", gdump_error_message(err));
	gdump_error_destroy(err);
	nbdkit_set_error(EIO);
	return -1;
}

/* "ADDR:SIZE" */
static int take_range(const char *value)
{
	char *end;

	errno = 0;
	config.start = strtoull(value, &end, 0);
	if (!errno && end != value && *end == ':' && end[1] >= '0' && end[1] <= '9') {
		const int64_t size = nbdkit_parse_size(end + 1);

		if (size <= 0)
			return -1;
		config.size = (uint64_t)size;
		config.has_range = true;
		return 0;
	}
	nbdkit_error("range: '%s' is not ADDR:SIZE, as in 0x100000:64K", value);
	return -1;
}

static int plugin_config(const char *key, const char *value)
{
	char **path = !strcmp(key, "file") ? &config.file : !strcmp(key, "key") ? &config.key : NULL;

	if (!strcmp(key, "range"))
		return take_range(value);
	if (!path) {
		nbdkit_error("unknown parameter '%s'", key);
		return -1;
	}
	free(*path);
	*path = nbdkit_realpath(value);
	return *path ? 0 : -1;
}

static int plugin_config_complete(void)
{
	if (config.file)
		return 0;
	nbdkit_error("the dump is missing, as in file=vm.kdump");
	return -1;
}

/* Before nbdkit goes into the background, so that errors are seen */
static int plugin_get_ready(void)
{
	struct gdump_error *err;

	config.open.key_file = config.key;
	config.open.warn = warn_nbdkit;
	err = gdump_open(config.file, &config.open, &dump);
	if (!err && !config.has_range)
		err = gdump_view_open(dump, &view);
	return err ? fail(err) : 0;
}

static void plugin_unload(void)
{
	gdump_view_close(view);
	gdump_close(dump);
	free(config.file);
	free(config.key);
}

static void *plugin_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t plugin_get_size(void *handle)
{
	(void)handle;
	return (int64_t)(config.has_range ? config.size : gdump_view_size(view));
}

/* All connections see the same bytes. */
static int plugin_can_multi_conn(void *handle)
{
	(void)handle;
	return 1;
}

static int plugin_pread(void *handle, void *buf, uint32_t count, uint64_t offset, uint32_t flags)
{
	struct gdump_error *err;

	(void)handle, (void)flags;
	err = config.has_range ? gdump_read(dump, config.start + offset, buf, count)
			       : gdump_view_read(view, offset, buf, count);
	return err ? fail(err) : 0;
}

static struct nbdkit_plugin plugin = {
	.name = "guestdump",
	.version = GUESTDUMP_VERSION,
	.longname = "memory dumps of virtual machines",
	.description = "serves a dump of any format as an ELF core",
	.magic_config_key = "file",
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help = "file=INPUT       (required) a dump of any format that guestdump reads\n"
		       "key=FILE         decrypt the dump of a protected guest\n"
		       "range=ADDR:SIZE  serve this guest-physical memory instead of an ELF core",
	.get_ready = plugin_get_ready,
	.unload = plugin_unload,
	.open = plugin_open,
	.get_size = plugin_get_size,
	.can_multi_conn = plugin_can_multi_conn,
	.pread = plugin_pread,
};

struct nbdkit_plugin *plugin_init(void);        /* defined by: */
NBDKIT_REGISTER_PLUGIN(plugin)

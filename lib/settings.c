/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "settings.h"

#include <string.h>

#include "args.h"
#include "parallel.h"

static struct gdump_error *settings_level_error(const struct codec *c, int level)
{
	if (c->min_level == c->max_level)
		return error_new(GDUMP_ERR_USAGE, "codec %s has no levels: %d cannot be chosen",
				 c->name, level);
	return error_new(GDUMP_ERR_USAGE, "codec %s has levels %d to %d, not %d%s", c->name,
			 c->min_level, c->max_level, level, c->level_note ? c->level_note : "");
}

static struct gdump_error *settings_find_codec(const char *name,
					       const struct gdump_write_options *opt,
					       struct settings *set)
{
	const bool has_level = opt->has_level || opt->level;
	const struct codec *c = codec_find(name);

	if (!c)
		return error_new(GDUMP_ERR_USAGE,
				 "codec '%s' is unknown; \"guestdump list\" shows the codecs", name);
	if (!c->library)
		return error_new(GDUMP_ERR_UNSUPPORTED,
				 "guestdump was built without %s (meson -D%s=enabled)",
				 name, name);
	if (!c->compress) {
		set->codec = NULL;
		return NULL;
	}
	if (has_level && (opt->level < c->min_level || opt->level > c->max_level))
		return settings_level_error(c, opt->level);
	set->codec = c;
	set->level = has_level ? opt->level : c->default_level;
	return NULL;
}

static struct gdump_error *settings_find(const struct gdump_write_options *opt,
					 struct settings *set)
{
	const char *name = opt->format ? opt->format : "kdump";
	const char *codec = opt->codec;

	set->format = format_find(name, &codec);
	if (!set->format || !set->format->create)
		return error_new(GDUMP_ERR_USAGE,
				 "format '%s' cannot be written; \"guestdump list\" shows what can", name);
	if (opt->codec && codec != opt->codec && strcmp(codec, opt->codec))
		return error_new(GDUMP_ERR_USAGE,
				 "format '%s' cannot be combined with codec '%s'", name,
				 opt->codec);
	if (codec && strcmp(codec, "none") && !set->format->codec)
		return error_new(GDUMP_ERR_USAGE, "format '%s' does not compress: omit codec '%s'",
				 name, codec);
	if (opt->flatten && !set->format->seeks)
		return error_new(GDUMP_ERR_USAGE,
				 "format '%s' is never flattened: a pipe can be written to without that",
				 name);
	if (opt->split > MAX_OUTPUTS || (opt->split && !set->format->open_parts))
		return error_new(GDUMP_ERR_USAGE, "format '%s' cannot be split into %u files", name,
				 opt->split);
	if (opt->split && opt->flatten)
		return error_new(GDUMP_ERR_USAGE, "a dump can be split or flattened, not both");
	if (opt->paging && !set->format->maps)
		return error_new(GDUMP_ERR_USAGE, "format '%s' has no virtual addresses, which --paging asks for", name);
	set->threads = parallel_threads(opt->threads);
	if (!codec)
		codec = set->format->codec;
	return codec ? settings_find_codec(codec, opt, set) : NULL;
}

struct gdump_error *write_options_take(struct gdump_write_options *to,
				       const struct gdump_write_options *from)
{
	struct gdump_error *err = args_take(to, sizeof(*to), from,
					    ARGS_LEAST(struct gdump_write_options, format),
					    "gdump_write_options");

	if (!err && to->threads > PARALLEL_MAX)
		err = error_new(GDUMP_ERR_USAGE, "member threads is %u: at most %d are possible",
				to->threads, PARALLEL_MAX);
	if (!err && to->result)
		err = args_check(to->result, ARGS_LEAST(struct gdump_result, pages),
				 "gdump_result");
	if (!err && to->store)
		err = args_check(to->store, ARGS_LEAST(struct gdump_store_options, endpoint),
				 "gdump_store_options");
	return err;
}

/* A guest that keeps running gives its pages in any order. */
static struct gdump_error *settings_check_live(const struct settings *set,
					       const struct gdump_write_options *opt)
{
	if (!set->format->any_order)
		return error_new(GDUMP_ERR_USAGE,
				 "--live cannot write %s, because pages arrive out of order; write kdump or elf and convert it",
				 set->format->name);
	if (opt->split)
		return error_new(GDUMP_ERR_USAGE,
				 "--live and --split cannot be combined; split the file later with guestdump convert");
	return NULL;
}

struct gdump_error *settings_take(struct gdump_write_options *opt,
				  const struct gdump_write_options *options, struct settings *set)
{
	struct gdump_error *err = write_options_take(opt, options);

	*set = (struct settings){ 0 };
	if (!err)
		err = settings_find(opt, set);
	return !err && opt->live ? settings_check_live(set, opt) : err;
}

/* A source that pushes slows its guest down while we compress. */
static struct gdump_error *settings_fit_pushed(struct settings *set,
					       const struct gdump_write_options *opt)
{
	if (set->codec && !opt->level && !opt->has_level)
		set->level = set->codec->live_level;
	return settings_check_live(set, opt);
}

struct gdump_error *settings_fit(struct settings *set, const struct gdump_write_options *opt,
				 const struct source *s)
{
	if (s->ops->pv_dump && (!set->format->sections || opt->paging))
		return error_new(GDUMP_ERR_USAGE,
				 "the guest is protected: it can be dumped as plain ELF only, not as %s",
				 opt->paging ? "ELF with --paging" : set->format->name);
	return s->ops->order == READ_PUSHED ? settings_fit_pushed(set, opt) : NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "crash_stores.h"

#include <stdlib.h>
#include <string.h>

#include "tool.h"
#include "watch_conf.h"

enum { ID_DIGITS = 8, ALL_ID_DIGITS = 16 };

static bool stores_add(struct crash_stores *s, const char *template, struct failure *why)
{
	struct crash_store **grown = realloc(s->stores, (s->num + 1) * sizeof(*grown));

	if (!grown) {
		*why = failure_new(FAILURE_NO_MEMORY, 0, "out of memory");
		return false;
	}
	s->stores = grown;
	if (!crash_store_open(template, why, &grown[s->num]))
		return false;
	s->num++;
	return crash_list_add(&s->list, grown[s->num - 1], why);
}

static void stores_mistake(void *arg, bool is_error, const char *text)
{
	(void)arg;
	if (is_error)
		say("%s", text);
	else
		warn("%s", text);
}

static int stores_of(const struct watch_conf *conf, struct crash_stores *s)
{
	size_t num_failed = 0, i;
	struct failure why, first;

	for (i = 0; watch_conf_store(conf, i); i++) {
		if (stores_add(s, watch_conf_store(conf, i), &why))
			continue;
		if (num_failed++) {
			warn("%s", why.message);
			failure_deinit(&why);
		} else {
			first = why;
		}
	}
	if (num_failed == i && i)
		return failure_report(&first);
	if (num_failed) {
		warn("%s", first.message);
		failure_deinit(&first);
	}
	return EXIT_DONE;
}

int crash_stores_open(const struct arguments *args, struct crash_stores *ret)
{
	struct watch_conf *conf;
	struct failure why;
	int status;

	*ret = (struct crash_stores){ 0 };
	if (args->policy.store)
		return stores_add(ret, args->policy.store, &why) ? EXIT_DONE : failure_report(&why);
	if (!watch_conf_read(args->config, stores_mistake, NULL, &conf))
		return failed(FAILURE_USAGE, 0, "the configuration of guestdump watch has mistakes; correct them, or name "
			      "the directory of crashes by --store");
	status = stores_of(conf, ret);
	watch_conf_destroy(conf);
	return status;
}

void crash_stores_peek(struct crash_stores *ret)
{
	struct watch_conf *conf;
	struct failure why;

	*ret = (struct crash_stores){ 0 };
	if (!watch_conf_read(NULL, NULL, NULL, &conf))
		return;
	for (size_t i = 0; watch_conf_store(conf, i); i++) {
		if (!stores_add(ret, watch_conf_store(conf, i), &why))
			failure_deinit(&why);
	}
	watch_conf_destroy(conf);
}

void crash_stores_close(struct crash_stores *s)
{
	crash_list_deinit(&s->list);
	for (size_t i = 0; i < s->num; i++)
		crash_store_close(s->stores[i]);
	free(s->stores);
}

int crash_id_digits(const struct crash_list *list)
{
	int digits = ID_DIGITS;

	for (size_t i = 0; i < list->num; i++) {
		for (size_t k = 0; k < i; k++) {
			while (digits < ALL_ID_DIGITS &&
			       !strncmp(list->entries[i].id, list->entries[k].id, (size_t)digits))
				digits++;
		}
	}
	return digits;
}

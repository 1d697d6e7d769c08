/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include "util/debug.h"

struct heard {
	unsigned int num, level;
	size_t len;
	char text[4096];
};

static void listen(void *arg, enum gdump_debug_level level, const char *message)
{
	struct heard *h = arg;

	h->num++;
	h->level = level;
	h->len = strlen(message);
	snprintf(h->text, sizeof(h->text), "%s", message);
}

static void test_message(void)
{
	struct heard heard = { 0 };
	const struct gdump_open_options opt = { .debug = listen, .debug_arg = &heard };
	const struct debug debug = debug_of(&opt);

	debug_log(&debug, GDUMP_DEBUG_DETAIL, "page %d is %s", 7, "zero");
	CHECK_STR(heard.text, "page 7 is zero");
	CHECK(heard.num == 1 && heard.level == GDUMP_DEBUG_DETAIL);
}

/* What a hypervisor says may be of any length. */
static void test_a_long_message_is_cut(void)
{
	struct heard heard = { 0 };
	const struct debug debug = { listen, &heard };
	char text[3000];

	for (size_t len = 2040; len < 2060; len++) {
		memset(text, 'x', len);
		text[len] = 0;
		debug_log(&debug, GDUMP_DEBUG_STEP, "%s", text);
		CHECK_INT(heard.len, len < 2048 ? len : 2047);
		CHECK(len < 2048 || !strcmp(heard.text + heard.len - 4, "x..."));
	}
}

static void test_nobody_listens(void)
{
	const struct gdump_open_options opt = { 0 };
	const struct debug debug = debug_of(&opt);
	int evaluated = 0;

	debug_log(&debug, GDUMP_DEBUG_STEP, "%d", ++evaluated);
	CHECK_INT(evaluated, 0);
}

int main(void)
{
	test_message();
	test_a_long_message_is_cut();
	test_nobody_listens();
	return check_done();
}

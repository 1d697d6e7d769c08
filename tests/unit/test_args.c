/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_args.c - what a caller may get wrong: sizes that were forgotten, values of no enum, NULL
 */
#include "check.h"

#include <stdlib.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 16 };

static unsigned char memory[PAGES * PAGE];

static struct gdump *open_guest(void)
{
	const struct gdump_slot slot = { .size = sizeof(memory), .host = memory };
	const struct gdump_guest desc = {
		.size = sizeof(desc), .arch = "x86_64", .slots = &slot, .num_slots = 1,
	};
	struct gdump *g = NULL;

	if (!CHECK_OK(gdump_open_guest(&desc, NULL, &g)))
		exit(check_done());
	return g;
}

static void test_sizes(void)
{
	const struct gdump_open_options open = { .pause_guest = true };
	const struct gdump_guest guest = { .name = "vm" };
	const struct gdump_job_options job = { .path = "d" };
	struct gdump_result result = { .pages = 0 };
	struct gdump_write_options write = { .format = "elf" };
	struct gdump_protection protection = { .size = sizeof(size_t) };
	struct gdump_kernel kernel = { .size = 0 };
	struct gdump *g = open_guest(), *other;
	struct gdump_job *started;
	uint64_t bytes;

	CHECK_ERR(gdump_open("d", &open, &other), GDUMP_ERR_USAGE, "struct gdump_open_options");
	CHECK_ERR(gdump_open_guest(&guest, NULL, &other), GDUMP_ERR_USAGE, "struct gdump_guest");
	CHECK_ERR(gdump_job_start(g, &job, &started), GDUMP_ERR_USAGE, "struct gdump_job_options");
	CHECK_ERR(gdump_write(g, NULL, "d", &write), GDUMP_ERR_USAGE, "struct gdump_write_options");
	CHECK_ERR(gdump_write_check("d", &write), GDUMP_ERR_USAGE, "struct gdump_write_options");
	CHECK_ERR(gdump_verify(g, &write), GDUMP_ERR_USAGE, "struct gdump_write_options");
	CHECK_ERR(gdump_estimate(g, NULL, &write, &bytes), GDUMP_ERR_USAGE, "its member size is 0");
	write.size = 3;
	CHECK_ERR(gdump_write(g, NULL, "d", &write), GDUMP_ERR_USAGE, "its member size is 3");
	write.size = sizeof(write);
	write.result = &result;
	CHECK_ERR(gdump_write(g, NULL, "d", &write), GDUMP_ERR_USAGE, "struct gdump_result");
	CHECK_ERR(gdump_protection(g, &protection), GDUMP_ERR_USAGE, "struct gdump_protection");
	CHECK_ERR(gdump_kernel(g, &kernel), GDUMP_ERR_USAGE, "struct gdump_kernel");
	CHECK(access("d", F_OK) && access("d.incomplete", F_OK));
	gdump_close(g);
}

static void test_enums(void)
{
	struct gdump_open_options open = { .size = sizeof(open), .live = GDUMP_LIVE_TRY + 1 };
	struct gdump_slot slot = { .size = sizeof(memory), .host = memory };
	struct gdump_guest desc = {
		.size = sizeof(desc), .arch = "x86_64", .slots = &slot, .num_slots = 1,
	};
	struct gdump *g;

	CHECK_ERR(gdump_open("d", &open, &g), GDUMP_ERR_USAGE, "enum gdump_live 3");
	open.live = -1;
	CHECK_ERR(gdump_open_guest(&desc, &open, &g), GDUMP_ERR_USAGE, "enum gdump_live -1");
	desc.memory = 99;
	CHECK_ERR(gdump_open_guest(&desc, NULL, &g), GDUMP_ERR_USAGE, "enum gdump_memory 99");
	desc.memory = GDUMP_MEMORY_PLAIN;
	slot.kind = 9;
	CHECK_ERR(gdump_open_guest(&desc, NULL, &g), GDUMP_ERR_USAGE, "slot 0: kind 9");
	slot.kind = GDUMP_RANGE_RAM;
	slot.reserved = 9;
	CHECK_ERR(gdump_open_guest(&desc, NULL, &g), GDUMP_ERR_USAGE, "reserved 9");
}

static int vm_switch(void *arg)
{
	(void)arg;
	return 0;
}

/* What is written after the guest was resumed would be of no one moment. */
static void test_write_after_resume(void)
{
	const struct gdump_slot slot = { .size = sizeof(memory), .host = memory };
	const struct gdump_guest desc = {
		.size = sizeof(desc), .arch = "x86_64", .slots = &slot, .num_slots = 1,
		.pause = vm_switch, .resume = vm_switch,
	};
	const struct gdump_open_options open = { .size = sizeof(open), .pause_guest = true };
	struct gdump_write_options write = { .size = sizeof(write), .format = "lime" };
	struct gdump *g;

	if (!CHECK_OK(gdump_open_guest(&desc, &open, &g)))
		return;
	CHECK_OK(gdump_write(g, NULL, "/dev/null", &write));
	write.resume_guest = true;
	CHECK_OK(gdump_write(g, NULL, "/dev/null", &write));
	CHECK_ERR(gdump_write(g, NULL, "/dev/null", &write), GDUMP_ERR_USAGE, "was resumed");
	gdump_close(g);
	if (!CHECK_OK(gdump_open_guest(&desc, NULL, &g)))
		return;
	CHECK_OK(gdump_write(g, NULL, "/dev/null", &write));
	CHECK_OK(gdump_write(g, NULL, "/dev/null", &write));
	gdump_close(g);
}

/* What was asked for is done, or refused, and not silently something else. */
static void test_limits(void)
{
	const struct gdump_open_options open = { .size = sizeof(open), .strict = true };
	struct gdump_write_options write = { .size = sizeof(write), .threads = 257 };
	struct gdump *g = open_guest(), *other;
	uint64_t bytes;

	CHECK_ERR(gdump_open("d", &open, &other), GDUMP_ERR_USAGE, "strict needs a key_file");
	CHECK_ERR(gdump_write(g, NULL, "d", &write), GDUMP_ERR_USAGE, "threads is 257");
	CHECK_ERR(gdump_verify(g, &write), GDUMP_ERR_USAGE, "threads is 257");
	write.threads = 256;
	CHECK_OK(gdump_estimate(g, NULL, &write, &bytes));
	gdump_close(g);
}

static void test_plans(void)
{
	struct gdump *g = open_guest(), *other = open_guest();
	const struct gdump_write_options write = { .size = sizeof(write), .format = "raw" };
	const struct gdump_job_options job = { .size = sizeof(job) };
	struct gdump_job *started;
	struct gdump_plan *plan;
	uint64_t all = 0, same = 0;

	CHECK_OK(gdump_plan_create(g, 0, &plan));
	CHECK_OK(gdump_estimate(g, NULL, &write, &all));
	CHECK_OK(gdump_estimate(g, plan, &write, &same));
	CHECK(all >= sizeof(memory));
	CHECK_INT(all, same);
	CHECK_ERR(gdump_write(other, plan, "d", &write), GDUMP_ERR_USAGE, "another image");
	CHECK_ERR(gdump_plan_fit(other, plan, &write), GDUMP_ERR_USAGE, "another image");
	CHECK_OK(gdump_plan_fit(g, plan, NULL));
	CHECK_ERR(gdump_estimate(other, plan, &write, &all), GDUMP_ERR_USAGE, "another image");
	CHECK_ERR(gdump_job_start(g, &job, &started), GDUMP_ERR_USAGE, "no name");
	CHECK_ERR(gdump_write(g, plan, "", &write), GDUMP_ERR_USAGE, "no name");
	gdump_plan_destroy(plan);
	gdump_close(other);
	gdump_close(g);
}

static void test_null(void)
{
	struct gdump_job_status status = { .size = sizeof(status), .state = GDUMP_JOB_FAILED };
	struct gdump_result result = { .size = sizeof(result) };

	gdump_close(NULL);
	gdump_plan_destroy(NULL);
	gdump_error_destroy(NULL);
	gdump_job_cancel(NULL);
	gdump_job_query(NULL, &status);
	CHECK_INT(status.state, GDUMP_JOB_NONE);
	CHECK_INT(status.size, sizeof(status));
	CHECK_OK(gdump_job_wait(NULL));
	result.partial_path = strdup("d.incomplete");
	gdump_result_deinit(&result);
	CHECK(!result.partial_path);
	gdump_result_deinit(&result);
	/* an older program's struct has no strings */
	result.size = offsetof(struct gdump_result, partial_path);
	result.partial_path = (char *)1;
	gdump_result_deinit(&result);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(memory); i++)
		memory[i] = (unsigned char)(i % 251);
	test_sizes();
	test_enums();
	test_write_after_resume();
	test_limits();
	test_plans();
	test_null();
	return check_done();
}

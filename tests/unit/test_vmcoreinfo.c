/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "check.h"

#include "machine/vmcoreinfo.h"

static const char text[] =
	"OSRELEASE=6.1.0\n"
	"PAGESIZE=4096\n"
	"NUMBER(phys_base)=-1048576\n"
	"NUMBER(kimage_voffset)=0xffff7fbffa000000\n"
	"NUMBER(VA_BITS)=48\n"
	"NUMBER(huge)=99999999999999999999\n"
	"NUMBER(junk)=12 monkeys\n"
	"NUMBER(empty)=\n"
	"NUMBER(long)=00000000000000000000000000000000000000017\n"
	"SYMBOL(_stext)=ffffffff81000000\n"
	"SYMBOL(prefixed)=0xffffffff82000000\n"
	"OFFSET(uts_namespace.name)=4\n"
	"XPAGESIZE=1\n"
	"PAGESIZE=8192\n"
	"\n"
	"=odd\n"
	"KERNELOFFSET=2a000000";

static void with(struct image *image, const char *info, size_t size)
{
	*image = (struct image){ .vmcoreinfo = info, .vmcoreinfo_size = size };
}

static void test_get(void)
{
	struct image image;
	size_t len = 0;
	const char *p;

	with(&image, text, sizeof(text) - 1);
	p = vmcoreinfo_get(&image, "OSRELEASE", &len);
	CHECK(p && len == 5 && !memcmp(p, "6.1.0", 5));
	p = vmcoreinfo_get(&image, "PAGESIZE", &len);
	CHECK(p && len == 4 && !memcmp(p, "4096", 4));  /* the first one */
	p = vmcoreinfo_get(&image, "KERNELOFFSET", &len);
	CHECK(p && len == 8);                           /* no newline behind it */
	p = vmcoreinfo_get(&image, "NUMBER(empty)", &len);
	CHECK(p && !len);
	CHECK(!vmcoreinfo_get(&image, "OSRELEAS", &len));
	CHECK(!vmcoreinfo_get(&image, "NUMBER", &len));
	with(&image, NULL, 0);
	CHECK(!vmcoreinfo_get(&image, "OSRELEASE", &len));
	with(&image, "A", 1);
	CHECK(!vmcoreinfo_get(&image, "A", &len));
}

static void test_numbers(void)
{
	struct image image;
	uint64_t n = 5;

	with(&image, text, sizeof(text) - 1);
	CHECK(vmcoreinfo_number(&image, "phys_base", &n) && n == (uint64_t)-1048576);
	CHECK(vmcoreinfo_number(&image, "kimage_voffset", &n) && n == 0xffff7fbffa000000);
	CHECK(vmcoreinfo_number(&image, "VA_BITS", &n) && n == 48);
	CHECK(!vmcoreinfo_number(&image, "huge", &n));
	CHECK(!vmcoreinfo_number(&image, "junk", &n));
	CHECK(!vmcoreinfo_number(&image, "empty", &n));
	CHECK(!vmcoreinfo_number(&image, "long", &n));
	CHECK(!vmcoreinfo_number(&image, "none", &n));
	CHECK_INT(n, 48);
	CHECK(vmcoreinfo_symbol(&image, "_stext", &n) && n == 0xffffffff81000000);
	CHECK(vmcoreinfo_symbol(&image, "prefixed", &n) && n == 0xffffffff82000000);
	CHECK(vmcoreinfo_decimal(&image, "OFFSET(uts_namespace.name)", &n) && n == 4);
}

static void test_string(void)
{
	struct image image;
	char small[4], large[16] = "before";

	with(&image, text, sizeof(text) - 1);
	CHECK(vmcoreinfo_string(&image, "OSRELEASE", small, sizeof(small)));
	CHECK_STR(small, "6.1");
	CHECK(!vmcoreinfo_string(&image, "NONE", large, sizeof(large)));
	CHECK_STR(large, "before");
}

/* Keys longer than any that exists must not match a shorter one. */
static void test_long_key(void)
{
	struct image image;
	char key[200];
	uint64_t n;

	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = 0;
	with(&image, text, sizeof(text) - 1);
	CHECK(!vmcoreinfo_number(&image, key, &n));
}

int main(void)
{
	test_get();
	test_numbers();
	test_string();
	test_long_key();
	return check_done();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_libvirt_open.c - a daemon of libvirt that accepts connections and never answers
 */
#include "check.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "live/libvirt_open.h"
#include "util/clock.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

int main(void)
{
	char dir[] = "/tmp/gd-test-libvirt.XXXXXX", uri[140];
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct gdump_error *err = libvirt_loaded();
	const uint64_t began_us = clock_us();
	struct domain d = { 0 };

	if (err || SANITIZED) {
		/* libvirt crashes with the sanitizer's XDR functions */
		printf("SKIP: %s\n", err ? gdump_error_message(err) : "AddressSanitizer");
		gdump_error_destroy(err);
		return 77;
	}
	CHECK(mkdtemp(dir));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sock", dir);
	CHECK(!bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, 1));
	snprintf(uri, sizeof(uri), "qemu+unix:///system?socket=%s", addr.sun_path);
	CHECK_ERR(domain_open(uri, "x", 300, &d), GDUMP_ERR_REMOTE, "does not answer within 0.3 s");
	CHECK(!d.conn && clock_us() - began_us < 20000000);
	/* the thread that waits gets an error, and frees what it has */
	close(fd);
	unlink(addr.sun_path);
	CHECK_ERR(domain_open(uri, "x", 20000, &d), GDUMP_ERR_REMOTE, "cannot connect to libvirt");
	CHECK(!rmdir(dir));
	/* the first thread may still be in libvirt, whose destructors would free what it uses */
	_exit(check_done());
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * uv.h - a software Ultravisor, and what of KVM is needed to reach it
 *
 * It answers the ioctls with which a VMM protects an s390x guest and dumps it: the same
 * numbers and structs, the checks in the order in which Linux 6.1 makes them, with the
 * same errno; and real cryptography on the memory that the VMM gives the guest.  It has
 * nothing in common with lib/pv/ but the facts.
 *
 * Known requests: KVM_CREATE_VM (on any descriptor), KVM_CREATE_VCPU,
 * KVM_SET_USER_MEMORY_REGION, KVM_RUN, KVM_CHECK_EXTENSION, KVM_S390_PV_COMMAND (ENABLE,
 * INFO, DUMP), KVM_S390_PV_CPU_COMMAND (DUMP).  KVM_PV_ENABLE encrypts all memory in its
 * place, as if the host had touched it: pages of zeros are zero pages, every seventh of
 * the others is shared.  Nothing is ever decrypted again.
 *
 * Not for several threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { UV_CPU_LEN = 4096, UV_FINALIZE_LEN = 288, UV_AREA = 1568 };

/* As ioctl(2) of descriptors that uv_knows() */
int uv_ioctl(int fd, unsigned long request, void *arg);
bool uv_knows(int fd, unsigned long request);

/* The customer communication key, of 32 bytes: before KVM_PV_ENABLE */
void uv_set_key(const unsigned char *cck);
/* The guest's owner does not allow dumps. */
void uv_deny(bool deny);
/* What CPU descriptor @fd has in its area, from byte 32 on, before it is sealed */
const unsigned char *uv_cpu_plain(int fd);
/* Whether VM @fd is being dumped: then its CPUs cannot run. */
bool uv_is_dumping(int fd);

/* Let a step fail:
 *
 *     STEP:ERRNO[:RC:RRC[:TIMES[:SKIP]]]
 *
 * cap, info, init, cpu, state, complete; "late-" in front: after the work was done.
 * TIMES -1: always; default 1.  Several are separated by blanks.  NULL: no more.
 */
void uv_fail(const char *spec);

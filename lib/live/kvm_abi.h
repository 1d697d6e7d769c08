/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * kvm_abi.h - KVM's interface to the dump of a protected s390x guest
 *
 * What <linux/kvm.h> has since Linux 6.0, spelled out as not every host's headers do.
 * Facts: Linux's include/uapi/linux/kvm.h, arch/s390/kvm/kvm-s390.c and pv.c, api.rst.
 */
#pragma once

#include <stdint.h>
#include <sys/ioctl.h>

struct pv_cmd {
	uint32_t cmd;
	uint16_t rc, rrc;               /* of the Ultravisor; 0: it was not asked */
	uint64_t data;                  /* address of what follows              */
	uint32_t flags;                 /* 0                                    */
	uint32_t reserved[3];
};

struct pv_dmp {
	uint64_t subcmd;
	uint64_t buff_addr, buff_len;   /* for what it gives                    */
	uint64_t gaddr;                 /* of guest memory, for STOR_STATE      */
	uint64_t reserved[4];
};

struct pv_info {
	uint32_t id, len_max, len_written, reserved;
	uint64_t cpu_len;               /* what PV_DUMP_CPU gives               */
	uint64_t per_1m;                /* what STOR_STATE gives for each MiB   */
	uint64_t finalize_len;          /* what COMPLETE gives                  */
};

enum { PV_CMD_INFO = 7, PV_CMD_DUMP = 8 };
enum { PV_INFO_DUMP = 1 };
enum { PV_DUMP_INIT, PV_DUMP_STOR_STATE, PV_DUMP_COMPLETE, PV_DUMP_CPU };

enum { CAP_S390_PROTECTED_DUMP = 217 };

#define PV_CHECK_EXTENSION _IO(0xae, 0x03)
#define PV_VM_COMMAND _IOWR(0xae, 0xc5, struct pv_cmd)
#define PV_CPU_COMMAND _IOWR(0xae, 0xd0, struct pv_cmd)

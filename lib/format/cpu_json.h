/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * cpu_json.h - the registers of a CPU as hypervisors written in Rust serialize KVM's structs
 */
#pragma once

#include "../arch/x86_cpu.h"
#include "json_text.h"

/* Take @regs and @sregs, which are struct kvm_regs and struct kvm_sregs as arrays of their bytes or
 * as objects with their members; false: they are neither.
 */
bool x86_cpu_take_json(struct x86_cpu *cpu, struct json_text regs, struct json_text sregs);
/* The value of a register in an array of objects { index, data or value }; 0: it is not there */
uint64_t x86_msr_of_json(struct json_text msrs, uint32_t index);

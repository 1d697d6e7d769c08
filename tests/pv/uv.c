/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * Facts: Linux 6.1's arch/s390/kvm/kvm-s390.c and pv.c for the interface; s390-tools'
 * zdump/ and libpv/ for what the data look like.
 */
#include "uv.h"

#include <errno.h>
#include <linux/kvm.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, STATES = MIB / PAGE * 16, MAX_SLOTS = 8, MAX_CPUS = 64 };

/* Codes of its own: the real ones are not public. */
enum { RC_DENIED = 0x0131, RC_NO_MEMORY = 0x0104, RRC = 0x0007 };

struct slot {
	uint64_t gaddr, size;
	unsigned char *host;
	unsigned char *states;          /* 16 bytes for each page               */
};

struct vm {
	int fd;
	pid_t pid;
	struct slot slots[MAX_SLOTS];
	int num_slots;
	int cpus[MAX_CPUS];
	unsigned char plain[MAX_CPUS][UV_AREA];
	int num_cpus;
	bool is_protected, dumping;
	unsigned char seed[64], dump_key[32], nonce[16], xts[64];
};

static struct vm *vms[16];
static unsigned char cck[32];
static bool denied;
static uint64_t random_state = 1;

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "uv: %s\n", what);
	abort();
}

static void randomize(void *buf, size_t len)
{
	for (unsigned char *p = buf; len--; p++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		*p = (unsigned char)(random_state >> 56);
	}
}

static void put_be(unsigned char *p, uint64_t v, int n)
{
	for (; n--; v >>= 8)
		p[n] = (unsigned char)v;
}

/* --- failures on demand --- */

struct failure {
	char step[32];
	int errnum, rc, rrc, times, skip;
};
static struct failure failures[8];
static int num_failures;

void uv_fail(const char *spec)
{
	num_failures = 0;
	while (spec && *spec) {
		struct failure *f = &failures[num_failures++];

		*f = (struct failure){ .times = 1 };
		must(sscanf(spec, "%31[^:]:%i:%i:%i:%i:%i", f->step, &f->errnum, &f->rc, &f->rrc,
			    &f->times, &f->skip) >= 2, "failure not understood");
		spec += strcspn(spec, " ");
		spec += *spec == ' ';
	}
}

static int fails(const char *step, uint16_t *rc, uint16_t *rrc)
{
	for (int i = 0; i < num_failures; i++) {
		struct failure *f = &failures[i];

		if (strcmp(f->step, step) || !f->times || f->skip-- > 0)
			continue;
		f->times -= f->times > 0;
		*rc = (uint16_t)f->rc;
		*rrc = (uint16_t)f->rrc;
		return f->errnum;
	}
	return 0;
}

/* --- the caller's memory --- */

/* Emulators of other machines lack these calls: there, all memory can be reached. */
static bool copy_in(void *to, uint64_t from, size_t len)
{
	const struct iovec l = { to, len }, r = { (void *)(uintptr_t)from, len };
	const ssize_t n = process_vm_readv(getpid(), &l, 1, &r, 1, 0);

	if (n < 0 && errno == ENOSYS)
		memcpy(to, r.iov_base, len);
	return n == (ssize_t)len || (n < 0 && errno == ENOSYS);
}

static bool copy_out(uint64_t to, const void *from, size_t len)
{
	const struct iovec l = { (void *)(uintptr_t)from, len }, r = { (void *)(uintptr_t)to, len };
	const ssize_t n = process_vm_writev(getpid(), &l, 1, &r, 1, 0);

	if (n != (ssize_t)len && !(n < 0 && errno == ENOSYS))
		return false;
	/* again, as valgrind does not know what that call writes */
	memcpy(r.iov_base, from, len);
	return true;
}

/* --- cryptography --- */

static void derive_key(struct vm *vm)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	char info[] = "IBM Z Ultravisor Dump", digest[] = "SHA512";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, cck, sizeof(cck)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, vm->seed, sizeof(vm->seed)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, sizeof(info) - 1),
		OSSL_PARAM_construct_end(),
	};

	must(EVP_KDF_derive(ctx, vm->dump_key, sizeof(vm->dump_key), params) == 1, "HKDF");
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

/* Seal [aad, len - 16) of @area with its IV; the tag goes to the end. */
static void seal(const struct vm *vm, unsigned char *area, int aad, int len, int iv)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char *data = area + aad;
	int n;

	must(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, vm->dump_key, area + iv) == 1 &&
	     EVP_EncryptUpdate(ctx, NULL, &n, area, aad) == 1 &&
	     EVP_EncryptUpdate(ctx, data, &n, data, len - 16 - aad) == 1 &&
	     EVP_EncryptFinal_ex(ctx, area + len - 16, &n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, area + len - 16) == 1, "GCM");
	EVP_CIPHER_CTX_free(ctx);
}

static void encrypt_page(const struct vm *vm, unsigned char *page, const unsigned char *component)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	unsigned char tweak[16];
	int n;

	for (int i = 0; i < 16; i++)
		tweak[i] = component[i] | vm->nonce[i];
	must(EVP_EncryptInit_ex(ctx, EVP_aes_256_xts(), NULL, vm->xts, tweak) == 1 &&
	     EVP_EncryptUpdate(ctx, page, &n, page, PAGE) == 1, "XTS");
	EVP_CIPHER_CTX_free(ctx);
}

static bool is_zero_page(const unsigned char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE - 1);
}

static void protect_slot(const struct vm *vm, struct slot *s)
{
	s->states = malloc(s->size / PAGE * 16);
	for (uint64_t i = 0; i < s->size / PAGE; i++) {
		unsigned char *page = s->host + i * PAGE, *component = s->states + i * 16;
		const bool zero = is_zero_page(page);

		randomize(component, 16);
		component[0] &= 0x7f;
		if (!zero && i % 7 != 3) {
			encrypt_page(vm, page, component);
			continue;
		}
		memset(component, 0xff, 4);
		component[14] = 0;
		component[15] = (unsigned char)((i % 2 ? 4 : 0) | (zero ? 1 : 2));
	}
}

/* --- KVM --- */

static int error(int errnum)
{
	errno = errnum;
	return -1;
}

static struct vm *find_vm(int fd)
{
	for (int i = 0; i < 16; i++) {
		if (vms[i] && vms[i]->fd == fd)
			return vms[i];
	}
	return NULL;
}

static struct vm *find_cpu(int fd, int *cpu)
{
	for (int i = 0; i < 16 && fd >= 0; i++) {
		for (int k = 0; vms[i] && k < vms[i]->num_cpus; k++) {
			if (vms[i]->cpus[k] == fd) {
				*cpu = k;
				return vms[i];
			}
		}
	}
	return NULL;
}

static int create_vm(void)
{
	for (int i = 0; i < 16; i++) {
		if (vms[i])
			continue;
		vms[i] = calloc(1, sizeof(*vms[i]));
		vms[i]->pid = getpid();
		return vms[i]->fd = memfd_create("kvm-vm", MFD_CLOEXEC);
	}
	return error(ENOMEM);
}

static int create_cpu(struct vm *vm)
{
	if (vm->num_cpus == MAX_CPUS)
		return error(ENOMEM);
	randomize(vm->plain[vm->num_cpus], UV_AREA);
	return vm->cpus[vm->num_cpus++] = memfd_create("kvm-vcpu", MFD_CLOEXEC);
}

static int add_slot(struct vm *vm, const struct kvm_userspace_memory_region *r)
{
	if (vm->num_slots == MAX_SLOTS || r->guest_phys_addr % MIB || r->memory_size % MIB)
		return error(EINVAL);
	vm->slots[vm->num_slots++] = (struct slot){
		.gaddr = r->guest_phys_addr, .size = r->memory_size,
		.host = (unsigned char *)(uintptr_t)r->userspace_addr,
	};
	return 0;
}

static int enable(struct vm *vm)
{
	if (vm->is_protected)
		return EINVAL;
	randomize(vm->nonce, sizeof(vm->nonce));
	randomize(vm->xts, sizeof(vm->xts));
	for (int i = 0; i < vm->num_slots; i++)
		protect_slot(vm, &vm->slots[i]);
	vm->is_protected = true;
	return 0;
}

static int info(const struct kvm_pv_cmd *cmd)
{
	struct kvm_s390_pv_info i = { 0 };
	uint32_t len;

	if (!copy_in(&i.header, cmd->data, sizeof(i.header)))
		return EFAULT;
	if (i.header.len_max < sizeof(i.header))
		return EINVAL;
	len = i.header.id == KVM_PV_INFO_DUMP ? 40 : 80;
	if (i.header.id > KVM_PV_INFO_DUMP || i.header.len_max < len)
		return EINVAL;
	i.header.len_written = len;
	if (i.header.id == KVM_PV_INFO_DUMP) {
		i.dump.dump_cpu_buffer_len = UV_CPU_LEN;
		i.dump.dump_config_mem_buffer_per_1m = STATES;
		i.dump.dump_config_finalize_len = UV_FINALIZE_LEN;
	}
	return copy_out(cmd->data, &i, len) ? 0 : EFAULT;
}

static int dump_init(struct vm *vm, struct kvm_pv_cmd *cmd)
{
	int rc;

	if (vm->dumping)
		return EINVAL;
	rc = fails("init", &cmd->rc, &cmd->rrc);
	if (rc)
		return rc;
	if (denied) {
		cmd->rc = RC_DENIED;
		cmd->rrc = RRC;
		return EINVAL;
	}
	randomize(vm->seed, sizeof(vm->seed));
	derive_key(vm);
	cmd->rc = 1;
	vm->dumping = true;
	return 0;
}

static const unsigned char *states_at(const struct vm *vm, uint64_t gaddr)
{
	for (int i = 0; i < vm->num_slots; i++) {
		const struct slot *s = &vm->slots[i];

		if (gaddr >= s->gaddr && gaddr - s->gaddr < s->size)
			return s->states + (gaddr - s->gaddr) / PAGE * 16;
	}
	return NULL;
}

static int dump_states(const struct vm *vm, const struct kvm_s390_pv_dmp *dmp,
		       struct kvm_pv_cmd *cmd)
{
	uint64_t gaddr = dmp->gaddr, done = 0, copied = 0;
	unsigned char *buf;
	int rc = 0;

	if (!vm->dumping || gaddr % MIB || !dmp->buff_len || dmp->buff_len % STATES)
		return EINVAL;
	buf = malloc(MIB);
	while (!rc && done < dmp->buff_len) {
		const unsigned char *states = states_at(vm, gaddr);

		rc = fails("state", &cmd->rc, &cmd->rrc);
		if (!rc && !states) {
			cmd->rc = RC_NO_MEMORY;
			cmd->rrc = RRC;
			rc = EINVAL;
		}
		if (rc)
			break;
		memcpy(buf + (done - copied), states, STATES);
		cmd->rc = 1;
		gaddr += MIB;
		done += STATES;
		if (done - copied < MIB && done < dmp->buff_len)
			continue;
		if (!copy_out(dmp->buff_addr + copied, buf, done - copied))
			rc = EFAULT;
		copied = done;
	}
	free(buf);
	return rc;
}

static int dump_complete(struct vm *vm, const struct kvm_s390_pv_dmp *dmp, struct kvm_pv_cmd *cmd)
{
	unsigned char compl[UV_FINALIZE_LEN] = { 0 };
	int rc;

	if (!vm->dumping || dmp->buff_len < UV_FINALIZE_LEN)
		return EINVAL;
	rc = fails("complete", &cmd->rc, &cmd->rrc);
	if (rc)
		return rc;
	put_be(compl, 1, 4);
	put_be(compl + 4, UV_FINALIZE_LEN, 4);
	memcpy(compl + 16, vm->seed, 64);
	randomize(compl + 80, 12);
	memcpy(compl + 96, vm->nonce, 16);
	memcpy(compl + 112, vm->xts, 64);
	seal(vm, compl, 96, UV_FINALIZE_LEN, 80);
	cmd->rc = 1;
	vm->dumping = false;
	return copy_out(dmp->buff_addr, compl, sizeof(compl)) ? 0 : EFAULT;
}

static int dump(struct vm *vm, struct kvm_pv_cmd *cmd)
{
	static const char *const late[] = { "late-init", "late-state", "late-complete" };
	struct kvm_s390_pv_dmp dmp;
	int rc;

	if (!vm->is_protected)
		return EINVAL;
	if (!copy_in(&dmp, cmd->data, sizeof(dmp)))
		return EFAULT;
	switch (dmp.subcmd) {
	case KVM_PV_DUMP_INIT:
		rc = dump_init(vm, cmd);
		break;
	case KVM_PV_DUMP_CONFIG_STOR_STATE:
		rc = dump_states(vm, &dmp, cmd);
		break;
	case KVM_PV_DUMP_COMPLETE:
		rc = dump_complete(vm, &dmp, cmd);
		break;
	default:
		return ENOTTY;
	}
	if (!rc)
		rc = fails(late[dmp.subcmd], &cmd->rc, &cmd->rrc);
	return rc || copy_out(cmd->data, &dmp, sizeof(dmp)) ? rc : EFAULT;
}

static int vm_command(struct vm *vm, uint64_t arg)
{
	struct kvm_pv_cmd cmd;
	int rc;

	if (!copy_in(&cmd, arg, sizeof(cmd)))
		return error(EFAULT);
	if (cmd.flags)
		return error(EINVAL);
	if (vm->pid != getpid())
		return error(EIO);
	switch (cmd.cmd) {
	case KVM_PV_ENABLE:
		rc = enable(vm);
		break;
	case KVM_PV_INFO:
		rc = fails("info", &cmd.rc, &cmd.rrc);
		rc = rc ? rc : info(&cmd);
		break;
	case KVM_PV_DUMP:
		rc = dump(vm, &cmd);
		break;
	default:
		rc = ENOTTY;
	}
	if (rc != ENOTTY && !copy_out(arg, &cmd, sizeof(cmd)))
		rc = EFAULT;
	return rc ? error(rc) : 0;
}

static int dump_cpu(struct vm *vm, int cpu, struct kvm_pv_cmd *cmd)
{
	unsigned char area[UV_CPU_LEN] = { 0 };
	struct kvm_s390_pv_dmp dmp;
	int rc;

	if (!vm->dumping)
		return EINVAL;
	if (!copy_in(&dmp, cmd->data, sizeof(dmp)))
		return EFAULT;
	if (dmp.subcmd != KVM_PV_DUMP_CPU || dmp.buff_len != UV_CPU_LEN)
		return EINVAL;
	rc = fails("cpu", &cmd->rc, &cmd->rrc);
	if (rc)
		return rc;
	put_be(area, 1, 4);
	put_be(area + 4, UV_AREA, 4);
	randomize(area + 8, 12);
	memcpy(area + 32, vm->plain[cpu], UV_AREA - 32 - 16);
	area[1536] = 0;                 /* not inside of an instruction */
	seal(vm, area, 32, UV_AREA, 8);
	cmd->rc = 1;
	return copy_out(dmp.buff_addr, area, sizeof(area)) ? 0 : EFAULT;
}

static int cpu_command(struct vm *vm, int cpu, uint64_t arg)
{
	struct kvm_pv_cmd cmd;
	int rc;

	if (!copy_in(&cmd, arg, sizeof(cmd)))
		return error(EFAULT);
	if (cmd.flags || cmd.cmd != KVM_PV_DUMP)
		return error(EINVAL);
	if (vm->pid != getpid())
		return error(EIO);
	rc = dump_cpu(vm, cpu, &cmd);
	if (!copy_out(arg + 4, &cmd.rc, 4))
		rc = EFAULT;
	return rc ? error(rc) : 0;
}

bool uv_knows(int fd, unsigned long request)
{
	int cpu;

	return request == KVM_CREATE_VM || find_vm(fd) || find_cpu(fd, &cpu);
}

static int check_extension(uint64_t what)
{
	uint16_t unused;

	return what == KVM_CAP_S390_PROTECTED_DUMP && !fails("cap", &unused, &unused);
}

int uv_ioctl(int fd, unsigned long request, void *arg)
{
	struct vm *vm = find_vm(fd);
	int cpu = 0;

	if (request == KVM_CREATE_VM)
		return create_vm();
	if (vm && request == KVM_CREATE_VCPU)
		return create_cpu(vm);
	if (vm && request == KVM_SET_USER_MEMORY_REGION)
		return add_slot(vm, arg);
	if (vm && request == KVM_CHECK_EXTENSION)
		return check_extension((uintptr_t)arg);
	if (vm && request == KVM_S390_PV_COMMAND)
		return vm_command(vm, (uintptr_t)arg);
	vm = vm ? NULL : find_cpu(fd, &cpu);
	if (vm && request == KVM_RUN)
		return vm->dumping ? error(EINVAL) : 0;
	if (vm && request == KVM_S390_PV_CPU_COMMAND)
		return cpu_command(vm, cpu, (uintptr_t)arg);
	return error(ENOTTY);
}

void uv_set_key(const unsigned char *key)
{
	memcpy(cck, key, sizeof(cck));
}

void uv_deny(bool deny)
{
	denied = deny;
}

const unsigned char *uv_cpu_plain(int fd)
{
	int cpu;
	struct vm *vm = find_cpu(fd, &cpu);

	return vm ? vm->plain[cpu] : NULL;
}

bool uv_is_dumping(int fd)
{
	struct vm *vm = find_vm(fd);

	return vm && vm->dumping;
}

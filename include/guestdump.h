/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * guestdump.h - take, read, convert and write memory dumps of virtual machines
 *
 * The order of this header is that of the data:
 *
 *     gdump_open()  ->  gdump_plan_create()  ->  gdump_write()
 *     an image          which pages to keep      a dump in some format
 *
 * Ownership.  What a *_open or *_create function returns belongs to the
 * caller, who passes it to the matching *_close or *_destroy; both accept
 * NULL.  Pointers to const that other functions return belong to the library
 * and are valid as long as the object they came from.
 *
 * Threads.  A gdump and a gdump_plan may be read by any number of threads at
 * once.  Opening, pausing, resuming, writing, closing and destroying are for
 * one thread at a time per object; different objects are independent.
 *
 * Errors.  Functions that can fail return NULL for success or an error that
 * the caller owns.  On error nothing is stored through the last parameter.
 *
 * The library never prints, exits, forks, handles signals, reads the
 * environment or keeps global state.
 *
 * Option structs begin with their own size, so that they can grow; a member
 * that is 0 or NULL means the default.  A size of 0 is GDUMP_ERR_USAGE, and so is a
 * value that is not in the enum of a member.
 *
 * NULL.  Pointers must not be NULL unless the function says so; the behavior is
 * undefined otherwise, as in the C library.
 */
#ifndef GUESTDUMP_H
#define GUESTDUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__
#pragma GCC visibility push(default)
#endif

#define GDUMP_MUST_CHECK __attribute__((__warn_unused_result__))
#define GDUMP_NONNULL(...) __attribute__((__nonnull__(__VA_ARGS__)))

/* Errors ------------------------------------------------------------------ */

struct gdump_error;

enum gdump_code {
	GDUMP_ERR_NOMEM = 1,    /* out of memory                                */
	GDUMP_ERR_OS,           /* a system call failed: see gdump_error_errno  */
	GDUMP_ERR_USAGE,        /* invalid arguments                            */
	GDUMP_ERR_FORMAT,       /* the input has no known format                */
	GDUMP_ERR_CORRUPT,      /* the input contradicts its own format         */
	GDUMP_ERR_UNSUPPORTED,  /* valid, but not supported by this build       */
	GDUMP_ERR_NODATA,       /* this memory is not in the image              */
	GDUMP_ERR_NOKEY,        /* a decryption key is missing or wrong         */
	GDUMP_ERR_REMOTE,       /* the hypervisor refused a command or ended, or
				 * an object cannot be read any more            */
	GDUMP_ERR_CANCELED,     /* a callback asked to stop                     */
	GDUMP_ERR_PROTECTED,    /* memory is encrypted, and no key can help     */
	GDUMP_ERR_PART,         /* files that are part of it are missing        */
};

/* The kind of failure, for programs that decide what to do. */
GDUMP_NONNULL(1)
enum gdump_code gdump_error_code(const struct gdump_error *err);
/* One sentence without a newline: what failed, where, and what to do. */
GDUMP_NONNULL(1)
const char *gdump_error_message(const struct gdump_error *err);
/* The errno of the system call that failed, or 0. */
GDUMP_NONNULL(1)
int gdump_error_errno(const struct gdump_error *err);
void gdump_error_destroy(struct gdump_error *err);

/* Images ------------------------------------------------------------------ */

/* The memory of one machine: a running guest or a dump file. */
struct gdump;

/* Receives warnings, on the thread that called the library. */
typedef void gdump_warn_fn(void *arg, const char *message);

enum gdump_debug_level {
	GDUMP_DEBUG_STEP = 1,           /* phases and decisions: some ten lines */
	GDUMP_DEBUG_DETAIL,             /* all messages exchanged with a
					 * hypervisor, and other details        */
};

/* Receives what the library does and why, for bug reports.  @message is one line
 * without a newline, valid during the call.  It contains names, paths and addresses,
 * but never a key or guest memory.  Its wording may change in any release.
 * Called on the thread that called the library, or on the thread of the job.  While a
 * guest is written, it is also called on the threads that read the pages, so it must
 * be safe to call from several threads at once.
 */
typedef void gdump_debug_fn(void *arg, enum gdump_debug_level level, const char *message);

/* Called several times a second during long waits, on the thread that called
 * the library.  Returning true ends the call with GDUMP_ERR_CANCELED.
 */
typedef bool gdump_cancel_fn(void *arg);

/* Where guest-physical memory is in a raw file, or in the process of a guest "pid:NUMBER". */
struct gdump_extent {
	uint64_t start, size;           /* guest-physical address, bytes        */
	uint64_t offset;                /* of this memory in the file, or its address in the
					 * process                              */
};

/* Called about ten times a second on the thread that called the library: @done
 * of @total pages, or if @total is 0, @done bytes of an unknown total.
 * Returning true ends the call with GDUMP_ERR_CANCELED.
 */
typedef bool gdump_progress_fn(void *arg, uint64_t done, uint64_t total);

/* Whether the guest keeps running during gdump_write().  The dump shows the moment
 * when gdump_write() began, or when gdump_plan_create() was called with pages to omit; then
 * call gdump_write() soon, because the guest waits when it writes to memory, once 256 MiB of it
 * were sent.  Other functions called before see the running guest.
 */
enum gdump_live {
	GDUMP_LIVE_NO,
	GDUMP_LIVE_YES,                 /* if impossible: GDUMP_ERR_REMOTE      */
	GDUMP_LIVE_TRY,                 /* if impossible: a warning, and pause  */
};

/* Where a dump comes from.  Strings are UTF-8, and what a file says may contain anything;
 * NULL: unknown.
 */
struct gdump_metadata {
	size_t size;                    /* = sizeof this struct                 */
	const char *guest;              /* its name                             */
	const char *uuid;               /* of the guest                         */
	const char *host;               /* the name of the machine it ran on    */
	const char *vmm;                /* the program that ran it: "QEMU 7.2.22" */
	const char *creator;            /* the program that took the dump: its name
					 * and version                          */
	const char *command;            /* the command line of that             */
	uint64_t time_ms;               /* of the moment that the memory shows, in
					 * milliseconds since 1970; 0: unknown  */
};

struct gdump_store_options;
struct gdump_open_options {
	size_t size;                    /* = sizeof this struct                 */
	bool pause_guest;               /* pause a running guest                */
	int live;                       /* with pause_guest: enum gdump_live    */
	bool no_direct;                 /* read guest memory only through the
					 * hypervisor, never from its process   */
	uint64_t begin, length;         /* only this part of guest-physical
					 * memory, in bytes; length 0: all      */
	int guard_fd;                   /* see gdump_guard(); 0: none           */
	unsigned int timeout_ms;        /* for each answer of a hypervisor;
					 * 0: 30 seconds                        */
	gdump_warn_fn *warn;
	void *warn_arg;
	gdump_cancel_fn *cancel;
	void *cancel_arg;
	const char *format;             /* of a file; NULL: detected            */
	/* Where memory is in a raw file, or in a process: then it is not searched for.
	 * Without them, the text PATH.ranges of a raw file is used, which gdump_write() writes next to a raw file; without that,
	 * and with format "raw", each byte is at its address.
	 */
	const struct gdump_extent *extents;
	size_t num_extents;
	/* The file with the customer communication key, 32 bytes, of the owner
	 * of a protected guest; it is read once and never shown.  NULL: none
	 */
	const char *key_file;
	bool strict;                    /* needs key_file: fail if a CPU cannot
					 * be decrypted or a page has an invalid
					 * state                                */
	/* the other files of a split dump, in any order */
	const char *const *parts;
	size_t num_parts;
	/* directory for a temporary copy of input that cannot be seeked or is
	 * compressed as a whole; NULL: such input is an error
	 */
	const char *spool_dir;
	gdump_progress_fn *progress;    /* while this copy is made              */
	void *progress_arg;
	bool allow_encrypted;           /* dump encrypted memory as the host
					 * sees it                              */
	gdump_debug_fn *debug;          /* until gdump_close(); NULL: no log    */
	void *debug_arg;
	/* A guest that we paused is resumed after so many milliseconds, or after so
	 * many without progress, also if its memory is not read yet.  Then
	 * gdump_write() writes what was read, and fails with GDUMP_ERR_REMOTE.
	 */
	unsigned int max_pause_ms;      /* 0: no limit                          */
	unsigned int max_stall_ms;      /* 0: 60 seconds                        */
	/* Called before a running guest is paused, with the size of its memory in bytes,
	 * if that memory can be read without the hypervisor.  Returning true ends the call with GDUMP_ERR_CANCELED.
	 */
	bool (*before_pause)(void *arg, uint64_t memory);
	void *before_pause_arg;
	/* Of a running guest: dumps get a note with this, and what the hypervisor says
	 * about members that are NULL or 0, and time_ms is that of the pause.  creator is
	 * the library's name and version if it is NULL.  Formats without notes cannot hold
	 * it.  NULL: dumps get no such note.  Of a file, it is ignored: what the file says
	 * is passed on.
	 */
	const struct gdump_metadata *metadata;
	bool no_metadata;               /* forget what the file says            */
	/* With live: the registers must be known before the pages come, as for the member paging
	 * of gdump_write_options; the pause is somewhat longer.
	 */
	bool live_registers;
	/* If the dump has several kernels: which one it is about, by its release, or the id of
	 * its build or its KERNELOFFSET, as in VMCOREINFO; "running": one that has not crashed, as
	 * its crash kernel.  NULL: the one that crashed, or that the CPUs run
	 */
	const char *kernel;
	/* Of a guest "pid:NUMBER": do not stop or change its process, so that the registers are
	 * missing; the member effects of gdump_info says what would be done to it.
	 */
	bool look_only;
	/* Of a file with several snapshots: the name or the id of one.  NULL: the only one with
	 * memory
	 */
	const char *snapshot;
	/* Of an object: how to reach its server; NULL: defaults.  Its keys are for "s3://..." only.
	 * The member cancel is asked during each request then, also later, on any thread that reads.
	 */
	const struct gdump_store_options *store;
};

/* Open a dump file by its path ("-": standard input); an object, "s3://BUCKET/KEY", or what a URL
 * leads to, "https://..." or "http://...", of which only those parts are read that are needed, with
 * 32 MiB of memory for what was read; or a running guest:
 * "qmp:PATH", the unix socket of QEMU's QMP monitor; "libvirt:NAME" or "libvirt+URI:NAME", a
 * guest of libvirt, whose client library is loaded then; or "pid:NUMBER", the process that runs
 * a guest.  While such a guest is paused, the guard traces that process, or without a guard a thread
 * of the library.  @opt may be NULL.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_open(const char *where,
			       const struct gdump_open_options *opt,
			       struct gdump **ret);
/* Close it; a guest that gdump_open() paused is resumed.  @g may be NULL. */
void gdump_close(struct gdump *g);

/* A snapshot in a file that may have several, such as a qcow2 image.  The texts may contain anything. */
struct gdump_snapshot {
	const char *id, *name;
	uint64_t time_ms;               /* when it was made, in milliseconds since 1970 */
	uint64_t state_size;            /* bytes of the guest's memory and registers as
					 * they are stored; 0: only its disk    */
};
typedef void gdump_snapshot_fn(void *arg, const struct gdump_snapshot *snapshot);

/* Call @fn for each snapshot in the file @where, on this thread; never, if its format has none.  The
 * members format, spool_dir and progress of @opt are used.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_snapshots(const char *where, const struct gdump_open_options *opt,
				    gdump_snapshot_fn *fn, void *arg);

/* Whether gdump_open() would decompress the file @where to a temporary copy in spool_dir.  Of what cannot
 * be seeked, it makes such a copy in any case.
 */
GDUMP_NONNULL(1)
bool gdump_needs_copy(const char *where);

/* A VMM's own guest ------------------------------------------------------- */

/* Guest-physical memory that is mapped in this process. */
struct gdump_slot {
	uint64_t paddr, size;           /* in the guest, in bytes               */
	const void *host;               /* its address in this process          */
	uint32_t kind;                  /* enum gdump_range_kind                */
	uint32_t reserved;              /* 0                                    */
};

/* Receives the registers of a CPU from a callback. */
struct gdump_notes;
/* Add an ELF note; @name and @desc are copied.  The first note of a CPU must be
 * NT_PRSTATUS ("CORE", 1).
 */
GDUMP_NONNULL(1, 2)
void gdump_note_add(struct gdump_notes *to, const char *name, uint32_t type,
		    const void *desc, size_t size);

enum gdump_memory {
	GDUMP_MEMORY_PLAIN = 0,
	GDUMP_MEMORY_S390_PV,           /* protected by the Ultravisor; needs
					 * vm_fd and vcpu_fds, and can only be
					 * written completely, paused, as ELF   */
	GDUMP_MEMORY_PRIVATE,           /* encrypted in another way (SEV, TDX)  */
};

/* A guest of the calling process.  On x86_64, aarch64 and s390x hosts, the
 * library reads the registers with vcpu_fds; elsewhere, use @notes.  Callbacks
 * return 0 or an errno, get @arg, and run on the thread that calls the library,
 * or on the thread of the job.
 */
struct gdump_guest {
	size_t size;                    /* = sizeof this struct                 */
	const char *name;               /* for messages; NULL: "the guest"      */
	const char *arch;               /* as in uname -m; NULL: the host's     */
	uint32_t page_size;             /* of its kernel; 0: unknown            */
	const struct gdump_slot *slots; /* in any order, not overlapping        */
	size_t num_slots;
	size_t num_cpus;
	const int *vcpu_fds;            /* num_cpus of them, or NULL            */
	/* Bring all CPUs out of KVM_RUN and keep them out; stop devices from
	 * writing to memory.  NULL: the guest is already paused.
	 */
	int (*pause)(void *arg);
	int (*resume)(void *arg);
	int (*notes)(void *arg, size_t cpu, struct gdump_notes *to);
	void *arg;
	uint64_t vmcoreinfo;            /* guest-physical address of the note, if
					 * the guest gave it to a device (QEMU's
					 * vmcoreinfo, ACPI); 0: search memory  */
	uint32_t memory;                /* enum gdump_memory                    */
	int vm_fd;                      /* KVM's file descriptor of the VM      */
};

/* Open the guest that @desc describes.  @desc is needed only during the call; the
 * memory, the file descriptors and @arg until the image is closed.  Of @opt,
 * pause_guest, begin, length, warn and debug are used.  Without pause_guest, the
 * guest is paused only while the registers are read.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_open_guest(const struct gdump_guest *desc,
				     const struct gdump_open_options *opt,
				     struct gdump **ret);

/* Resume a guest that pause_guest paused.  Does nothing for a file, and for a
 * guest that was already paused when it was opened, or was resumed before.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1)
struct gdump_error *gdump_resume(struct gdump *g);

/* How long the guest has been paused by gdump_open(), in microseconds. */
GDUMP_NONNULL(1)
uint64_t gdump_paused_us(const struct gdump *g);

enum gdump_range_kind {
	GDUMP_RANGE_RAM = 0,            /* memory that the guest's kernel manages */
	GDUMP_RANGE_DEVICE = 1,         /* firmware ROM or a device's own memory  */
};

/* A range of guest-physical memory, in bytes. */
struct gdump_range {
	uint64_t start, size;
	uint32_t kind;                  /* enum gdump_range_kind                */
	uint32_t reserved;              /* 0                                    */
};

/* CPU registers, and everything else but memory, as an ELF note. */
struct gdump_note {
	const char *name;               /* "CORE", "LINUX", "VMCOREINFO", ...   */
	uint32_t type;
	int32_t cpu;                    /* -1: belongs to the whole machine     */
	const void *desc;               /* in the guest's byte order            */
	size_t size;                    /* bytes of desc                        */
};

struct gdump_info {
	const char *format;             /* "elf", "kdump", "qmp", ...           */
	const char *detail;             /* one line: version, codec, producer   */
	const char *arch;               /* "x86_64", "s390x", ...; "unknown"    */
	uint32_t page_size;             /* of the guest's kernel, in bytes      */
	bool big_endian;
	bool is_64bit;
	bool incomplete;                /* marked as cut short                  */
	size_t num_cpus;
	size_t num_ranges;              /* guest physical memory, ascending     */
	const struct gdump_range *ranges;
	size_t num_notes;
	const struct gdump_note *notes;
	const char *release;            /* of the guest's kernel, or NULL       */
	const char *version;            /* its build, as in uname -v, or NULL   */
	const char *vmcoreinfo;         /* text, not terminated; NULL: none     */
	size_t vmcoreinfo_size;
	uint64_t phys_base;             /* as in kdump's sub header             */
	uint64_t num_pages;             /* pages of all ranges                  */
	uint64_t num_excluded;          /* of these, missing from the input     */
	uint32_t dump_level;            /* kinds that the input left out:
					 * enum gdump_drop                      */
	bool is_guest;                  /* a running guest                      */
	bool was_running;               /* it was not paused when it was opened */
	size_t num_lost_cpus;           /* registers could not be decrypted or
					 * found, and are zero                  */
	bool is_locked;                 /* memory and registers are encrypted, and
					 * there is no key                      */
	bool live;                      /* it keeps running during gdump_write(),
					 * see enum gdump_live                  */
	const struct gdump_metadata *metadata;  /* where the dump comes from;
					 * NULL: it does not say                */
	const char *run_state;          /* of a guest, as the hypervisor calls it:
					 * "running", "guest-panicked", ...; NULL:
					 * unknown, or a file                   */
	const char *effects;            /* of look_only: lines that end with a
					 * newline, each one thing that a dump
					 * does to the guest's process; or NULL */
};

GDUMP_NONNULL(1)
const struct gdump_info *gdump_info(const struct gdump *g);

/* The encryption of a dump of a protected guest. */
struct gdump_protection {
	size_t size;                    /* = sizeof this struct                 */
	const char *kind;               /* "IBM Secure Execution"; NULL: not
					 * encrypted, and everything else is 0  */
	uint32_t version;               /* of the encryption                    */
	bool decrypted;                 /* there is a key                       */
	const char *problem;            /* why no key can help, or NULL         */
	uint64_t encrypted, shared, zero, invalid;      /* pages by state */
};

/* Report the encryption of @g; needs no key.  Reads one 256th of the dump. */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_protection(struct gdump *g, struct gdump_protection *ret);

/* A register of a CPU, from its notes. */
struct gdump_register {
	const char *set;                /* "general", "control", "float", ...   */
	const char *name;
	uint32_t size;                  /* bytes: up to 16                      */
	bool key;                       /* program counter or stack pointer     */
	uint64_t value;
	uint64_t high;                  /* bits 64 to 127                       */
};

/* The @i-th register of CPU @cpu; false past the end.  Registers of one set are
 * adjacent, "general" first.
 */
GDUMP_NONNULL(1, 4)
bool gdump_register_at(const struct gdump *g, size_t cpu, size_t i,
		       struct gdump_register *ret);

/* Copy @len bytes of guest-physical memory at @paddr to @buf, from any thread.
 * GDUMP_ERR_NODATA if any byte is in no range or was left out; @buf is then
 * undefined.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_read(struct gdump *g, uint64_t paddr,
			       void *buf, size_t len);

/* A record of the log of the guest's Linux kernel. */
struct gdump_log_record {
	uint64_t seq, time_ns;          /* number; time since boot              */
	uint32_t caller;                /* bit 31: a CPU, else a thread; 0 may
					 * mean that it was not recorded        */
	uint8_t facility, level;        /* as in syslog(3)                      */
	const char *text;               /* not terminated; may contain anything;
					 * valid during the call                */
	size_t len;
};
typedef void gdump_log_fn(void *arg, const struct gdump_log_record *record);

/* Call @fn for each record of the log, oldest first, on this thread.
 * Without VMCOREINFO, all memory is searched for the log of a kernel that is booting.
 * GDUMP_ERR_UNSUPPORTED if the log is not found.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_log(struct gdump *g, gdump_log_fn *fn, void *arg);

/* What is in a guest's memory, where its kernel has no VMCOREINFO. */
struct gdump_system {
	size_t size;                    /* = sizeof this struct                 */
	char name[64];                  /* "Linux", "Windows", "the boot loader GRUB",
					 * ...; "": nothing that is known       */
	char release[65], version[256]; /* of Linux, as in uname; else ""       */
	uint64_t paddr;                 /* of the text by which it is recognized */
};

/* Search all memory for a Linux kernel, and else for other systems, boot loaders and firmware. This
 * reads all memory, once or twice.  It is of use if gdump_info.release is NULL: a kernel that
 * has begun to boot has no VMCOREINFO.  GDUMP_ERR_UNSUPPORTED: it would take too long.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_find_system(struct gdump *g, struct gdump_system *ret);

/* The state of a guest's Linux kernel, from its memory. */
struct gdump_kernel {
	size_t size;                    /* = sizeof this struct                 */
	bool has_uptime;
	bool uptime_is_lower_bound;     /* it is the time of the log's last line */
	uint64_t uptime;                /* in seconds, as of the last tick      */
	uint64_t boot_time;             /* seconds since 1970 by the guest's
					 * clock; 0: unknown                    */
	bool panicked;
	int32_t panic_cpu;              /* where it panicked; -1: unknown       */
	char panic[256];                /* the message, which may contain
					 * anything; "": unknown                */
	uint64_t crash_time;            /* when the crash kernel was started, in
					 * seconds since 1970; 0: it was not    */
};

/* GDUMP_ERR_UNSUPPORTED if the kernel's memory cannot be followed: there is no
 * VMCOREINFO, or the machine is not supported.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_kernel(struct gdump *g, struct gdump_kernel *ret);

/* A process or thread of the guest. */
struct gdump_task {
	uint64_t vaddr;                 /* of its struct task_struct            */
	int32_t pid;                    /* of the thread; 0: a CPU's idle task  */
	int32_t tgid;                   /* of the process                       */
	int32_t cpu;                    /* where it ran last; -1: unknown       */
	int32_t running_cpu;            /* where it is running; -1: nowhere     */
	char state;                     /* as in ps: R, S, D, T, t, Z, X,
					 * P (parked), I (idle thread)          */
	char name[64];                  /* may contain anything                 */
};
typedef void gdump_task_fn(void *arg, const struct gdump_task *task);

/* Call @fn for each task of a Linux guest, on this thread.  GDUMP_ERR_UNSUPPORTED if
 * the kernel has no type information (CONFIG_DEBUG_INFO_BTF); GDUMP_ERR_CORRUPT, without
 * a call to @fn, if its lists are broken.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_tasks(struct gdump *g, gdump_task_fn *fn, void *arg);

/* What does not change while a guest's kernel runs: its symbols, its types, and by what its stacks
 * are followed.  To pause a guest only for milliseconds, open it without pause_guest, read this,
 * close it, open it with pause_guest, and pass this to gdump_stacks() or gdump_report().
 */
struct gdump_tables;

/* GDUMP_ERR_UNSUPPORTED: see gdump_kernel().  *@ret does not need @g anymore.  It is for one
 * thread at a time; the caller frees it with gdump_tables_destroy().
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_tables_read(struct gdump *g, struct gdump_tables **ret);
/* NULL is fine. */
void gdump_tables_destroy(struct gdump_tables *t);

enum gdump_frame_kind {
	GDUMP_FRAME_CALL,               /* pc is where a call returns to        */
	GDUMP_FRAME_EXACT,              /* pc is what the CPU executes, or executed
					 * when it was interrupted              */
	GDUMP_FRAME_GUESS,              /* a return address that may be stale   */
	GDUMP_FRAME_USER,               /* pc is an address of the process      */
};

/* A function that has been called and did not return yet. */
struct gdump_frame {
	int kind;                       /* enum gdump_frame_kind                */
	uint64_t pc, sp;                /* program counter; where its frame is on
					 * the stack, 0: unknown                */
	const char *function;           /* NULL: unknown; may contain anything  */
	uint64_t offset, size;          /* of pc in it; its bytes               */
	const char *module;             /* NULL: the kernel itself              */
};

/* Why there are no more frames. */
enum gdump_stack_end {
	GDUMP_STACK_COMPLETE,           /* this is where the thread began       */
	GDUMP_STACK_USER,               /* it came from user space              */
	GDUMP_STACK_NONE,               /* the task has no stack anymore        */
	GDUMP_STACK_NO_REGISTERS,       /* it was running, and the dump lacks the
					 * registers of its CPU                 */
	GDUMP_STACK_UNSUPPORTED,        /* there is no way to follow stacks of this
					 * kernel                               */
	GDUMP_STACK_UNREADABLE,         /* memory at end_at is missing          */
	GDUMP_STACK_NOT_CODE,           /* it returns to end_at, where no code is */
	GDUMP_STACK_NO_TABLE,           /* the kernel's tables do not describe the
					 * function at end_at                   */
	GDUMP_STACK_ASTRAY,             /* it leads to end_at, which is not further
					 * up a stack                           */
	GDUMP_STACK_TOO_LONG,           /* there may be more                    */
};

/* What a task, or a CPU, was doing. */
struct gdump_stack {
	const struct gdump_task *task;  /* NULL: unknown                        */
	int32_t cpu;                    /* that was running it; -1: none        */
	bool moved;                     /* the guest was running, and the task ran
					 * while its stack was read, or may have, as
					 * the task of a CPU                    */
	int end;                        /* enum gdump_stack_end                 */
	uint64_t end_at;                /* an address, see there                */
	const struct gdump_frame *frames;       /* the innermost one first      */
	size_t num_frames;
};
typedef void gdump_stack_fn(void *arg, const struct gdump_stack *stack);

enum gdump_stacks {
	GDUMP_STACKS_IMPORTANT,         /* of all CPUs and of tasks in state D  */
	GDUMP_STACKS_BLOCKED,           /* of tasks in state D                  */
	GDUMP_STACKS_ALL,               /* of all CPUs and tasks                */
	GDUMP_STACKS_TASK,              /* of thread or process @number         */
	GDUMP_STACKS_CPU,               /* of CPU @number                       */
};

struct gdump_stacks_options {
	size_t size;                    /* = sizeof this struct                 */
	int which;                      /* enum gdump_stacks                    */
	int32_t number;
	struct gdump_tables *tables;    /* of this guest; NULL, or those of another kernel: they
					 * are read                             */
};

/* Call @fn for stacks of a Linux guest's kernel, on this thread: first those of CPUs, by
 * number, then those of tasks that were not running.  What it is given is valid during
 * the call.  Stacks of a guest that is not paused are not of one moment, and those of
 * its CPUs may be wrong: the registers are of the moment of gdump_open().
 *
 * GDUMP_ERR_UNSUPPORTED if the kernel has no type information (CONFIG_DEBUG_INFO_BTF) or
 * no symbols (CONFIG_KALLSYMS); GDUMP_ERR_CORRUPT if its list of tasks is broken; stacks of
 * CPUs have been reported then, if there are any.  GDUMP_ERR_USAGE if there is no such
 * task or CPU.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2, 3)
struct gdump_error *gdump_stacks(struct gdump *g, const struct gdump_stacks_options *opt,
				 gdump_stack_fn *fn, void *arg);

/* Reports ----------------------------------------------------------------- */

enum gdump_fact_kind {
	GDUMP_FACT_GROUP,               /* about one thing: its facts are below it */
	GDUMP_FACT_LIST,                /* of things of one kind, which are below it */
	GDUMP_FACT_TEXT,                /* text, which may contain anything     */
	GDUMP_FACT_NUMBER,
	GDUMP_FACT_FLAG,                /* number is 1: it is so                */
	GDUMP_FACT_ADDRESS,             /* in number                            */
	GDUMP_FACT_STACK,
};

/* Of a GDUMP_FACT_NUMBER */
enum gdump_unit {
	GDUMP_UNIT_NONE,                /* how many                             */
	GDUMP_UNIT_BYTES,
	GDUMP_UNIT_NS,                  /* a duration                           */
	GDUMP_UNIT_TIME,                /* seconds since 1970                   */
	GDUMP_UNIT_MILLI,               /* thousandths                          */
};

/* One fact of a report.  A fact that is unknown is not there. */
struct gdump_fact {
	const char *name;               /* a word for programs: "uptime"        */
	int kind;                       /* enum gdump_fact_kind                 */
	int unit;                       /* enum gdump_unit                      */
	uint64_t number;
	const char *text;               /* of a text, else NULL                 */
	const struct gdump_stack *stack;        /* of a stack, else NULL        */
	const struct gdump_fact *children;      /* the first one below, or NULL */
	const struct gdump_fact *next;          /* at the same level, or NULL   */
};

struct gdump_report_options {
	size_t size;                    /* = sizeof this struct                 */
	bool all;                       /* all tasks, not only those that are blocked or
					 * hold something; all records of the log */
	unsigned int timeout_ms;        /* limit for reading memory; a section that needs longer
					 * is incomplete.  0: 30 seconds        */
	struct gdump_tables *tables;    /* see gdump_stacks_options             */
};

/* Find out what a guest is doing: its sections, as facts below *@ret, each a group or a list.
 * guestdump-json(5) has their names.  The first one, "verdict", lists what is wrong.  After the
 * last one comes a list "problems": why a section could not be read, or only in part.  Works for
 * any guest: what cannot be found out is not there.  A guest that pause_guest paused is resumed as
 * soon as all that must be of one moment has been read.
 *
 * The caller frees *@ret with gdump_fact_destroy().
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_report(struct gdump *g, const struct gdump_report_options *opt,
				 const struct gdump_fact **ret);
/* Free a whole report.  @root: what gdump_report() returned, or NULL. */
void gdump_fact_destroy(const struct gdump_fact *root);
/* The name of the i-th section of reports, or NULL past the end. */
const char *gdump_report_section(size_t i);

/* Plans ------------------------------------------------------------------- */

/* Which pages to keep, and why the others are left out. */
struct gdump_plan;

enum gdump_drop {               /* bits; the first five are kdump's levels      */
	GDUMP_DROP_ZERO          = 1 << 0,
	GDUMP_DROP_CACHE         = 1 << 1,
	GDUMP_DROP_CACHE_PRIVATE = 1 << 2,
	GDUMP_DROP_USER          = 1 << 3,
	GDUMP_DROP_FREE          = 1 << 4,
	GDUMP_DROP_ABSENT        = 1 << 5,  /* missing from the input           */
	GDUMP_DROP_OFFLINE       = 1 << 6,  /* ballooned or not plugged; dropped
					     * with any of the first five       */
	GDUMP_DROP_HWPOISON      = 1 << 7,  /* broken memory; likewise          */
};

/* Plan a dump of @g that leaves out the kinds of pages in @drop (the first five,
 * 0 to 31), as far as the page structures of a Linux guest identify them; a page
 * whose use is uncertain is kept.  Zero pages are found when they are written.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_plan_create(struct gdump *g, unsigned int drop,
				      struct gdump_plan **ret);
/* The plan of level 31, for statistics only: it cannot be written.  For a running
 * guest, it is approximate.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_plan_survey(struct gdump *g, struct gdump_plan **ret);
/* Whether page @pfn (paddr / page size) will be in the dump. */
GDUMP_NONNULL(1)
bool gdump_plan_keeps(const struct gdump_plan *plan, uint64_t pfn);
GDUMP_NONNULL(1)
uint64_t gdump_plan_kept(const struct gdump_plan *plan);
GDUMP_NONNULL(1)
uint64_t gdump_plan_dropped(const struct gdump_plan *plan, enum gdump_drop why);
/* Why pages are kept that should be left out, or NULL. */
GDUMP_NONNULL(1)
const char *gdump_plan_warning(const struct gdump_plan *plan);
void gdump_plan_destroy(struct gdump_plan *plan);

/* Dumps ------------------------------------------------------------------- */

/* The result of a write, even if it failed half-way. */
struct gdump_result {
	size_t size;                    /* = sizeof this struct                 */
	uint64_t pages;                 /* pages in the dump                    */
	uint64_t zero;                  /* of these, zero                       */
	uint64_t compressed;            /* stored compressed                    */
	uint64_t uncompressed;          /* stored uncompressed                  */
	uint64_t unreadable;            /* could not be read, and are lost; the
					 * dump is marked incomplete            */
	uint64_t bytes;                 /* size of the output                   */
	/* NULL, or freed by the caller with gdump_result_deinit() */
	char *partial_path;             /* the file that remains of an interrupted
					 * dump; the first one of a split dump  */
	char *first_error;              /* why the first lost page is lost      */
	uint64_t zero_filled;           /* left out, but zero in the output: the
					 * format cannot leave pages out        */
	uint64_t lost_cpus;             /* the firmware did not give the registers,
					 * or the format has no place for them  */
	uint64_t stalled_us;            /* the longest time that the snapshot of a
					 * live guest waited for the library    */
	bool has_checksum;              /* the input has one; gdump_verify(): and
					 * it is right                          */
	/* gdump_verify(): memory that may be wrong, as the bytes of the file that it comes
	 * from are broken; ascending.  Freed with gdump_result_deinit()
	 */
	struct gdump_range *damaged;
	size_t num_damaged;
	/* What is broken are headers or tables, on which all memory depends.  A dump that
	 * gdump_write() makes of it is marked incomplete.
	 */
	bool tables_damaged;
	char *tables_error;             /* what is wrong with them, or NULL; freed with
					 * gdump_result_deinit()                */
	bool lost_are_zero;             /* pages that could not be read are zero in the
					 * output, as its format cannot mark them */
	bool unmarked;                  /* the output is incomplete, and nothing in it
					 * says so: its format cannot, or the header had
					 * been written to a pipe               */
};

/* Free the strings of a result that a function has filled, not the struct. */
GDUMP_NONNULL(1)
void gdump_result_deinit(struct gdump_result *result);

/* How to reach the server of an object */
struct gdump_store_options {
	size_t size;                    /* = sizeof this struct                 */
	const char *endpoint;           /* of "s3://...": "https://HOST" or "http://HOST:PORT", for a
					 * store other than Amazon's; NULL: Amazon's */
	const char *region;             /* NULL: "us-east-1"                     */
	const char *access_key;         /* NULL: requests are not signed        */
	const char *secret_key;
	const char *session_token;      /* of temporary keys; NULL: none        */
	const char *ca_file;            /* PEM certificates to trust; NULL: those of
					 * the system                           */
	const char *proxy;              /* a URL; NULL: none                    */
	const char *no_proxy;           /* hosts that need none, with commas; NULL: all need it */
	int guard_fd;                   /* see gdump_upload_guard(); 0: none    */
};

struct gdump_write_options {
	size_t size;
	const char *format;             /* NULL: "kdump"                        */
	const char *codec;              /* NULL: the format's default           */
	int level;                      /* of the codec; 0: its default, unless
					 * has_level is set                     */
	unsigned int threads;           /* at most 256; 0: one per CPU          */
	bool flatten;                   /* kdump as a stream of records, as
					 * makedumpfile -F does                 */
	bool force;                     /* replace an existing file             */
	bool resume_guest;              /* resume a paused guest as soon as the
					 * last page has been read              */
	uint64_t buffer;                /* with it: how many bytes may be read
					 * before they are compressed; 0: 256 MiB
					 * for a live guest and for a plan that
					 * leaves pages out by kind, else none  */
	gdump_progress_fn *progress;
	void *progress_arg;
	struct gdump_result *result;
	bool has_level;                 /* use level even if it is 0            */
	bool paging;                    /* ELF: also virtual addresses, from the
					 * guest's page tables                  */
	unsigned int split;             /* kdump: write this many files, PATH-1,
					 * PATH-2 and so on, as makedumpfile
					 * --split does; 0: one, @path          */
	/* directory for the temporary file of a live guest that is written to a
	 * pipe or flattened; NULL: that is an error
	 */
	const char *spool_dir;
	bool no_checksum;               /* ELF and kdump: do not append a checksum
					 * for gdump_verify()                   */
	/* Asked as often as progress is called.  True: resume the guest that we paused at
	 * once, as for gdump_open_options.max_pause_ms.  NULL: never
	 */
	gdump_cancel_fn *resume_now;
	void *resume_now_arg;
	bool salvage;                   /* read all of a file with a checksum first,
					 * and use headers and tables even where it
					 * shows them to be damaged; else it is
					 * compared as the file is read. Pages that
					 * are damaged are lost in both cases    */
	bool live;                      /* the guest will keep running: what that rules
					 * out is an error of gdump_write_check() */
	const struct gdump_store_options *store;        /* for an object store; NULL: defaults */
};

/* Write the pages of @g that @plan keeps (NULL: all) to @path ("-": standard
 * output).  The file gets this name only when it is complete; until then, and if
 * the dump is interrupted, its name is @path.incomplete.  Its mode is 0600.  A raw
 * file gets a description @path.ranges.  @path may also be a URL: the dump is written to a temporary
 * file in spool_dir and then sent there with PUT.  Or it is an object, "s3://BUCKET/KEY":
 * it is uploaded by threads of the library while it is written, in parts that need ten times
 * their size of memory, and nothing of it appears before it is complete.  The bytes do not depend on
 * the number of threads.  A guest that was paused when it was opened, and is resumed by now, is
 * GDUMP_ERR_USAGE, because its memory is not of one moment any more.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_write(struct gdump *g, const struct gdump_plan *plan,
				const char *path,
				const struct gdump_write_options *opt);

/* Check whether gdump_write() could start to write @path with these options.
 * Call it before a guest is paused.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1)
struct gdump_error *gdump_write_check(const char *path, const struct gdump_write_options *opt);

/* Remove from @plan what the format of these options cannot hold, such as firmware above the last
 * RAM in kdump files.  gdump_write() does so by itself, but afterwards the numbers of the plan are
 * those of the dump.  No other thread uses @plan meanwhile.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_plan_fit(struct gdump *g, struct gdump_plan *plan,
				   const struct gdump_write_options *opt);

/* Estimate how many bytes gdump_write() would write with these options; an error if the
 * format cannot hold the memory of this machine or system.  The estimate is from a
 * sample of the pages that @plan keeps (NULL: all).
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 4)
struct gdump_error *gdump_estimate(struct gdump *g, const struct gdump_plan *plan,
				   const struct gdump_write_options *opt, uint64_t *ret);

/* Read every byte of @g, decompress every page, check the checksum, if there is
 * one, and count pages.  GDUMP_ERR_CORRUPT if pages are broken; the message says
 * how many, and where the first one is.  Of @opt, threads, progress and result are
 * used.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1)
struct gdump_error *gdump_verify(struct gdump *g,
				 const struct gdump_write_options *opt);

/* Processes --------------------------------------------------------------- */

/* What became of a process */
struct gdump_process {
	size_t size;                    /* = sizeof this struct                 */
	char name[64];                  /* may contain anything                 */
	uint64_t maps;                  /* its mappings                         */
	uint64_t threads;
	uint64_t lost_threads;          /* of these, whose registers were not found, and are zero */
	uint64_t bytes;                 /* of memory in the core                */
	uint64_t absent;                /* bytes that are mapped and not in the core: never
					 * used, swapped out, or omitted from the dump */
	uint64_t lost;                  /* bytes that are zero in the core, as the guest
					 * changed its mapping meanwhile        */
};

/* Write process @pid of a Linux guest on x86-64 or AArch64 to the file @path, as an ELF core that
 * debuggers open with the program's file.  It gets this name when it is complete; its mode is 0600.
 * @force: replace a file of that name.  GDUMP_ERR_USAGE: there is no such process, or it has no
 * user space; GDUMP_ERR_UNSUPPORTED: see gdump_tasks().
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3, 5)
struct gdump_error *gdump_extract_process(struct gdump *g, int32_t pid, const char *path, bool force,
					  struct gdump_process *ret);
/* Write the bytes at [@vaddr, @vaddr + @size) to the file @path, as above: virtual memory of
 * process @pid, or of the kernel if @pid is 0.  GDUMP_ERR_NODATA: a page is not mapped, or was
 * omitted from the dump; there is no file then.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 5)
struct gdump_error *gdump_extract_memory(struct gdump *g, int32_t pid, uint64_t vaddr, uint64_t size,
					 const char *path, bool force);

/* Views ------------------------------------------------------------------- */

/* The ELF file that gdump_write() would make of an image, with all pages and without a checksum;
 * none of it is stored anywhere.  Of a running guest, it shows memory as it is when it is read.
 */
struct gdump_view;

/* Lay out the file.  What contradicts the checksum of a dump cannot be read from now on.  @g is not
 * written or closed before the view.  GDUMP_ERR_NOKEY or GDUMP_ERR_PROTECTED: memory is encrypted.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_view_open(struct gdump *g, struct gdump_view **ret);
/* @v may be NULL. */
void gdump_view_close(struct gdump_view *v);
/* In bytes */
GDUMP_NONNULL(1)
uint64_t gdump_view_size(const struct gdump_view *v);
/* Copy @len bytes from offset @off on to @buf, from any thread.  On an error, @buf is undefined:
 * GDUMP_ERR_NODATA if they exceed the file.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_view_read(struct gdump_view *v, uint64_t off, void *buf, size_t len);

/* Jobs -------------------------------------------------------------------- */

/* A gdump_write() on a thread of its own. */
struct gdump_job;

enum gdump_job_state {
	GDUMP_JOB_NONE = 0,
	GDUMP_JOB_ACTIVE,
	GDUMP_JOB_COMPLETED,
	GDUMP_JOB_FAILED,               /* or canceled                          */
};

struct gdump_job_status {
	size_t size;                    /* = sizeof this struct                 */
	enum gdump_job_state state;
	uint64_t done, total;           /* bytes of guest memory                */
	const struct gdump_error *error;        /* belongs to the job           */
};

/* Called on the job's thread when it has ended.  It must not wait for the job. */
typedef void gdump_job_fn(void *arg, struct gdump_job *job);

struct gdump_job_options {
	size_t size;                    /* = sizeof this struct                 */
	const char *path;
	/* the plan, the arguments of callbacks, and the result and the store of @write
	 * are needed until the job has ended
	 */
	const struct gdump_plan *plan;  /* NULL: all                            */
	const struct gdump_write_options *write;        /* is copied            */
	gdump_job_fn *ended;
	void *ended_arg;
};

/* Start a job; fails if gdump_write_check() does.  Until gdump_job_wait() has
 * returned, @g may be read, but not written, resumed or closed.  While a guest is
 * written live, its notes and registers must not be read, either: they are replaced
 * by those of the moment that the dump shows.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2, 3)
struct gdump_error *gdump_job_start(struct gdump *g, const struct gdump_job_options *opt,
				    struct gdump_job **ret);
/* Query its progress, from any thread.  @job NULL: GDUMP_JOB_NONE. */
GDUMP_NONNULL(2)
void gdump_job_query(struct gdump_job *job, struct gdump_job_status *ret);
/* Ask it to stop, from any thread.  It fails with GDUMP_ERR_CANCELED, unless it
 * ends before.  @job may be NULL.
 */
void gdump_job_cancel(struct gdump_job *job);
/* Wait until it has ended, free it, and return the result of gdump_write().
 * @job may be NULL.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_job_wait(struct gdump_job *job);

/* Guarding a paused guest ------------------------------------------------- */

/*
 * Resumes a guest that gdump_open() paused if this process is killed.  The
 * library cannot fork, so the program has to help: it creates a
 * socketpair(AF_UNIX, SOCK_SEQPACKET), forks before it starts threads, calls
 * gdump_guard() in the child with one end (the child exits with the result), and
 * passes the other end as guard_fd.  The library passes the hypervisor's
 * connection to the child before it pauses the guest.  If the other end of @fd is
 * closed while the guest is paused, gdump_guard() resumes it.  It also does so if this
 * process has been stopped for ten seconds, or exceeds gdump_open_options.max_pause_ms
 * or max_stall_ms; then the dump fails with GDUMP_ERR_REMOTE.
 *
 * Returns 0 if there was nothing to do or the guest was resumed, else 1.
 */
int gdump_guard(int fd);

/* The same for what gdump_write() has uploaded to "s3://BUCKET/KEY": called in a child with one end of
 * such a socketpair, whose other end is gdump_store_options.guard_fd.  When that is closed, it
 * removes the parts of an upload that was neither completed nor discarded.  Returns 0, or 1 if parts
 * may remain.
 */
GDUMP_NONNULL(2)
int gdump_upload_guard(int fd, const struct gdump_store_options *store);

/* Guests of this host ----------------------------------------------------- */

enum gdump_guest_kind {
	GDUMP_GUEST_OTHER = 0,          /* of a program with a guest of KVM     */
	GDUMP_GUEST_QEMU,
	GDUMP_GUEST_FIRECRACKER,
	GDUMP_GUEST_CLOUD_HYPERVISOR,
	GDUMP_GUEST_CROSVM,
	GDUMP_GUEST_KVMTOOL,
};

enum gdump_guest_state {
	GDUMP_GUEST_UNKNOWN = 0,
	GDUMP_GUEST_RUNNING,
	GDUMP_GUEST_PAUSED,             /* by anyone, or its process is stopped */
};

/* One way to reach a guest. */
struct gdump_guest_way {
	const char *name;               /* for gdump_open()                     */
	bool works;                     /* the guest can be opened by it, as far as
					 * can be seen from outside             */
	/* What works then: the guest can be paused, its registers can be read, its memory
	 * is read from its process without the hypervisor, and GDUMP_LIVE_YES
	 */
	bool pauses, registers, direct, live;
	const char *missing;            /* why anything of that does not work, a
					 * clause; NULL: it all works           */
};

/* A running guest of this host. */
struct gdump_host_guest {
	const char *name;               /* may contain anything; NULL: it has none */
	const char *uuid;               /* NULL: unknown                        */
	int32_t pid;                    /* of its process; 0: unknown           */
	const char *program;            /* the name of the file of its process  */
	enum gdump_guest_kind kind;
	bool kvm;                       /* it uses KVM; false also if unknown   */
	enum gdump_guest_state state;
	uint64_t memory;                /* in bytes, when it was started; 0: unknown */
	uint32_t num_cpus;              /* 0: unknown                           */
	size_t num_ways;
	const struct gdump_guest_way *ways;     /* the best one first           */
};
typedef void gdump_host_guest_fn(void *arg, const struct gdump_host_guest *guest);

struct gdump_guests_options {
	size_t size;                    /* = sizeof this struct                 */
	/* Ask hypervisors whether their guests run: connects to each monitor that is
	 * free, for some milliseconds.  Otherwise nothing but /proc is read.
	 */
	bool ask_state;
	gdump_debug_fn *debug;
	void *debug_arg;
};

/* Call @fn for each running guest that this user can see, on this thread.  @opt may be NULL.
 * The strings are valid during the call of @fn.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(2)
struct gdump_error *gdump_guests(const struct gdump_guests_options *opt, gdump_host_guest_fn *fn,
				 void *arg);

/* Watching guests --------------------------------------------------------- */

/* A running guest to which something may happen.  For one thread at a time. */
struct gdump_watch;

enum gdump_event_type {
	GDUMP_EVENT_NONE = 0,           /* nothing has happened                 */
	GDUMP_EVENT_PANICKED,           /* the guest's kernel says that it has  */
	GDUMP_EVENT_CRASHLOADED,        /* it has, and now its crash kernel runs */
	GDUMP_EVENT_WATCHDOG,           /* the guest's watchdog has expired     */
	GDUMP_EVENT_INTERNAL_ERROR,     /* the hypervisor cannot run the guest any more */
	GDUMP_EVENT_IO_ERROR,           /* the guest waits as a disk has failed or is full */
	GDUMP_EVENT_RESET,              /* the guest has reset its machine      */
	GDUMP_EVENT_SHUTDOWN,           /* it has shut down                     */
};

struct gdump_event {
	size_t size;                    /* = sizeof this struct                 */
	enum gdump_event_type type;
	bool paused;                    /* the hypervisor keeps the guest paused for it */
	char detail[200];               /* what the hypervisor says about it; may be "" */
	bool found;                     /* it had happened before the watch was opened */
};

/* Watch a running guest, named as for gdump_open().  Of @opt (NULL is fine) timeout_ms, warn,
 * cancel and debug are used.  The guest is not paused.  A QMP monitor serves one client at a
 * time: close the watch to open the guest by gdump_open().  GDUMP_ERR_UNSUPPORTED: guests with
 * such names cannot be watched.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_watch_open(const char *where, const struct gdump_open_options *opt,
				     struct gdump_watch **ret);
/* @w may be NULL. */
void gdump_watch_close(struct gdump_watch *w);
/* A descriptor for poll(), which belongs to @w: when it becomes readable, call gdump_watch_next().
 * Also call that before you wait, since other functions may have received events.
 */
GDUMP_NONNULL(1)
int gdump_watch_fd(const struct gdump_watch *w);
/* What has happened, the oldest event first, without waiting; call it until the type is
 * GDUMP_EVENT_NONE.  The first event may be a state in which the guest was found.
 * GDUMP_ERR_REMOTE: the guest has ended, or its monitor was closed.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 2)
struct gdump_error *gdump_watch_next(struct gdump_watch *w, struct gdump_event *ret);
/* Open the guest's memory, as gdump_open() does, while it is watched.  Close it before @w. */
GDUMP_MUST_CHECK GDUMP_NONNULL(1, 3)
struct gdump_error *gdump_watch_image(struct gdump_watch *w, const struct gdump_open_options *opt,
				      struct gdump **ret);
/* Let a guest that is paused run on, or reset its machine and let it run.
 * GDUMP_ERR_UNSUPPORTED: guests with such names cannot be resumed or reset.
 */
GDUMP_MUST_CHECK GDUMP_NONNULL(1)
struct gdump_error *gdump_watch_resume(struct gdump_watch *w);
GDUMP_MUST_CHECK GDUMP_NONNULL(1)
struct gdump_error *gdump_watch_reset(struct gdump_watch *w);

/* What this build has ----------------------------------------------------- */

struct gdump_format_info {
	const char *name, *summary;
	bool reads, writes;
	bool some_guests_only;          /* gdump_estimate() fails for guests that it
					 * cannot hold                          */
};
struct gdump_codec_info {
	const char *name, *library;     /* library NULL: not in this build      */
};

/* The i-th one, or false past the end. */
GDUMP_NONNULL(2)
bool gdump_format_at(size_t i, struct gdump_format_info *ret);
GDUMP_NONNULL(2)
bool gdump_codec_at(size_t i, struct gdump_codec_info *ret);
/* The i-th architecture's or source's name, or NULL past the end. */
const char *gdump_arch_name(size_t i);
const char *gdump_source_name(size_t i);
const char *gdump_version(void);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif /* GUESTDUMP_H */

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guestdump.h - take, read, convert and write memory dumps of virtual machines
 *
 * The way through this header is the way of the data:
 *
 *     gdump_open()  ->  gdump_plan_create()  ->  gdump_write()
 *     an image          which pages to keep      a dump in some format
 *
 * Ownership.  What a *_open or *_create function returns belongs to the
 * caller, who gives it back to the matching *_close or *_destroy; both take
 * NULL.  Pointers to const that other functions return stay the library's and
 * live as long as the object they came from.
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
 * that is 0 or NULL means the default.
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

/* Errors ------------------------------------------------------------------ */

struct gdump_error;

enum gdump_code {
	GDUMP_ERR_NOMEM = 1,    /* out of memory                                */
	GDUMP_ERR_OS,           /* a system call failed: see gdump_error_errno  */
	GDUMP_ERR_USAGE,        /* the arguments do not make sense              */
	GDUMP_ERR_FORMAT,       /* no format recognizes the input               */
	GDUMP_ERR_CORRUPT,      /* the input contradicts its own format         */
	GDUMP_ERR_UNSUPPORTED,  /* valid, but not handled by this build         */
	GDUMP_ERR_NODATA,       /* this memory is not in the image              */
	GDUMP_ERR_NOKEY,        /* a decryption key is missing or does not fit  */
	GDUMP_ERR_REMOTE,       /* the hypervisor refused or went away          */
	GDUMP_ERR_CANCELED,     /* a callback asked to stop                     */
	GDUMP_ERR_PROTECTED,    /* guest memory is private to the guest         */
	GDUMP_ERR_PART,         /* a split dump, and parts of it are missing    */
};

/* What kind of failure it is: decide what to do by this. */
enum gdump_code gdump_error_code(const struct gdump_error *err);
/* One sentence without newline that says what, where and what to do. */
const char *gdump_error_message(const struct gdump_error *err);
/* The errno of the system call that failed, or 0. */
int gdump_error_errno(const struct gdump_error *err);
void gdump_error_destroy(struct gdump_error *err);

/* Images ------------------------------------------------------------------ */

/* The memory of one machine: a running guest or a dump file. */
struct gdump;

/* Told of what is odd but not fatal, on the thread that called. */
typedef void gdump_warn_fn(void *arg, const char *message);

enum gdump_debug_level {
	GDUMP_DEBUG_STEP = 1,           /* phases and decisions: some ten lines */
	GDUMP_DEBUG_DETAIL,             /* all that is sent to a hypervisor and
					 * comes back, and other details        */
};

/* What the library does and why, for fault reports: @message is one line without
 * newline, valid during the call. It never holds a key or memory of the guest, but
 * names, paths and addresses. The wording is for people and changes between releases.
 * Called on the thread that called the library (of a job: on the job's) and, while a
 * guest is written with GDUMP_LIVE_YES or _TRY, at the same time on the thread that
 * receives its pages: so it must be safe to call from two threads at once.
 */
typedef void gdump_debug_fn(void *arg, enum gdump_debug_level level, const char *message);

/* Asked now and then during long waits; true ends them with
 * GDUMP_ERR_CANCELED.  Called on the thread that called the library.
 */
typedef bool gdump_cancel_fn(void *arg);

/* Guest-physical memory in a file that says nothing of itself. */
struct gdump_extent {
	uint64_t start, size;           /* of memory, in bytes                  */
	uint64_t offset;                /* of it in the file                    */
};

/* Called some ten times a second on the thread that called the library; @done
 * of @total pages, or where @total is 0, @done bytes of who knows how many.
 * Returning true stops it with GDUMP_ERR_CANCELED.
 */
typedef bool gdump_progress_fn(void *arg, uint64_t done, uint64_t total);

/* Whether a guest goes on while it is written.  The dump is of the moment when
 * gdump_write() began, or of when gdump_plan_create() stopped it to look at its memory;
 * from gdump_write() on it runs again, after milliseconds.  What is read before by other
 * functions is of a running guest.
 */
enum gdump_live {
	GDUMP_LIVE_NO,
	GDUMP_LIVE_YES,                 /* or it is GDUMP_ERR_REMOTE            */
	GDUMP_LIVE_TRY,                 /* or it is paused as ever, and a warning */
};

struct gdump_open_options {
	size_t size;                    /* = sizeof this struct                 */
	bool pause_guest;               /* stop a running guest once it is open */
	int live;                       /* with pause_guest: enum gdump_live    */
	bool no_direct;                 /* read guest memory only through the
					 * hypervisor, never from its process   */
	uint64_t begin, length;         /* only this part of guest-physical
					 * memory, in bytes; length 0: all      */
	int guard_fd;                   /* see gdump_guard(); 0: none           */
	unsigned int timeout_ms;        /* for one answer of a monitor; 0: 30 s */
	gdump_warn_fn *warn;
	void *warn_arg;
	gdump_cancel_fn *cancel;
	void *cancel_arg;
	const char *format;             /* of a file; NULL: its content tells   */
	/* Where memory is in a raw file.  Without them the text PATH.ranges
	 * tells, which gdump_write() writes beside a raw file; without that,
	 * and with format "raw", each byte is at its address.
	 */
	const struct gdump_extent *extents;
	size_t num_extents;
	/* The file with the customer communication key, 32 bytes, of a protected
	 * guest's owner; it is read once and never shown.  NULL: none
	 */
	const char *key_file;
	bool strict;                    /* with it, all of an encrypted dump must
					 * be good: no CPU lost, no page of an
					 * invalid state                        */
	/* the other files of a dump that is split, in any order */
	const char *const *parts;
	size_t num_parts;
	/* where a temporary copy of what cannot seek may be; NULL: nowhere */
	const char *spool_dir;
	gdump_progress_fn *progress;    /* while that copy is made              */
	void *progress_arg;
	bool allow_encrypted;           /* dump memory that is private to the
					 * guest as the host sees it            */
	gdump_debug_fn *debug;          /* until gdump_close(); NULL: nobody
					 * looks for a fault                    */
	void *debug_arg;
};

/* Open what @where names: the path of a dump file ("-": standard input), or a
 * running guest as "qmp:PATH", the unix socket of QEMU's QMP monitor.  @opt may be NULL.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_open(const char *where,
			       const struct gdump_open_options *opt,
			       struct gdump **ret);
/* Close it; a guest that we paused goes on. */
void gdump_close(struct gdump *g);

/* A VMM's own guest ------------------------------------------------------- */

/* A piece of guest-physical memory that is in this process. */
struct gdump_slot {
	uint64_t paddr, size;           /* in the guest, in bytes               */
	const void *host;               /* where it is here                     */
	uint32_t kind;                  /* enum gdump_range_kind                */
	uint32_t reserved;              /* 0                                    */
};

/* Where a callback puts the registers of a CPU. */
struct gdump_notes;
/* Add an ELF note; @name and @desc are copied.  NT_PRSTATUS ("CORE", 1) has to be
 * the first of a CPU.
 */
void gdump_note_add(struct gdump_notes *to, const char *name, uint32_t type,
		    const void *desc, size_t size);

enum gdump_memory {
	GDUMP_MEMORY_PLAIN = 0,
	GDUMP_MEMORY_S390_PV,           /* protected by the Ultravisor: dumped by
					 * KVM, which needs vm_fd and vcpu_fds; all
					 * of it, in ELF, paused                */
	GDUMP_MEMORY_PRIVATE,           /* encrypted in another way (SEV, TDX)  */
};

/* A guest of the process that calls us.  Of KVM's descriptors, vcpu_fds alone
 * give the registers on x86_64, aarch64 and s390x; else there is @notes.  The
 * callbacks return 0 or an errno, are called on the thread that calls the
 * library (of a job: on the job's), and get @arg.
 */
struct gdump_guest {
	size_t size;                    /* = sizeof this struct                 */
	const char *name;               /* for messages; NULL: "the guest"      */
	const char *arch;               /* as uname -m says; NULL: this host's  */
	uint32_t page_size;             /* of its kernel, if known              */
	const struct gdump_slot *slots; /* in any order, not overlapping        */
	size_t num_slots;
	size_t num_cpus;
	const int *vcpu_fds;            /* num_cpus of them, or NULL            */
	/* Bring all CPUs out of KVM_RUN and keep them out; devices write no
	 * memory any more.  NULL: the guest stands still already.
	 */
	int (*pause)(void *arg);
	int (*resume)(void *arg);
	int (*notes)(void *arg, size_t cpu, struct gdump_notes *to);
	void *arg;
	uint64_t vmcoreinfo;            /* guest-physical address of the note, if
					 * the guest told (QEMU's vmcoreinfo
					 * device, ACPI); 0: it is looked for   */
	uint32_t memory;                /* enum gdump_memory                    */
	int vm_fd;                      /* KVM's descriptor of the VM           */
};

/* Open the guest that @desc describes, which is needed during the call only; the
 * memory, the descriptors and @arg until it is closed.  Of @opt, pause_guest,
 * begin, length and warn matter.  Without pause_guest the guest stands still
 * only while the registers are read.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_open_guest(const struct gdump_guest *desc,
				     const struct gdump_open_options *opt,
				     struct gdump **ret);

/* Let a guest go on that pause_guest stopped.  Does nothing when it was not
 * running before, was resumed already, or is a file.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_resume(struct gdump *g);

/* How long we have kept the guest stopped, in microseconds; 0: not at all. */
uint64_t gdump_paused_us(const struct gdump *g);

enum gdump_range_kind {
	GDUMP_RANGE_RAM = 0,            /* memory that the guest's kernel manages */
	GDUMP_RANGE_DEVICE = 1,         /* firmware ROM or a device's own memory  */
};

/* A piece of guest-physical memory, in bytes. */
struct gdump_range {
	uint64_t start, size;
	uint32_t kind;                  /* enum gdump_range_kind                */
	uint32_t reserved;              /* 0                                    */
};

/* CPU registers and all else beside memory travel as ELF notes. */
struct gdump_note {
	const char *name;               /* "CORE", "LINUX", "VMCOREINFO", ...   */
	uint32_t type;
	int32_t cpu;                    /* -1: of the whole machine             */
	const void *desc;               /* as in the file, guest byte order     */
	size_t size;                    /* bytes of desc                        */
};

struct gdump_info {
	const char *format;             /* "elf", "kdump", "qmp", ...           */
	const char *detail;             /* one line: version, codec, producer   */
	const char *arch;               /* "x86_64", "s390x", ...; "unknown"    */
	uint32_t page_size;             /* of the guest's kernel, in bytes      */
	bool big_endian;
	bool is_64bit;
	bool incomplete;                /* the dump says that it was cut short  */
	size_t num_cpus;
	size_t num_ranges;              /* guest physical memory, ascending     */
	const struct gdump_range *ranges;
	size_t num_notes;
	const struct gdump_note *notes;
	const char *release;            /* of the guest's kernel, or NULL       */
	const char *version;            /* its build, as uname -v says, or NULL */
	const char *vmcoreinfo;         /* text, not terminated; NULL: none     */
	size_t vmcoreinfo_size;
	uint64_t phys_base;             /* as kdump's sub header has it         */
	uint64_t num_pages;             /* pages of all ranges                  */
	uint64_t num_excluded;          /* of them not in the input             */
	uint32_t dump_level;            /* what the input left out: gdump_drop  */
	bool is_guest;                  /* a running guest                      */
	bool was_running;               /* it ran when we came                  */
	size_t num_lost_cpus;           /* their registers could not be read, as
					 * their seal is broken, and are zero   */
	bool is_locked;                 /* memory and registers are encrypted, and
					 * no key was given                     */
	bool live;                      /* it goes on while it is written, see
					 * enum gdump_live                      */
};

const struct gdump_info *gdump_info(const struct gdump *g);

/* A dump whose memory is encrypted, as the guest was protected from its host. */
struct gdump_protection {
	size_t size;                    /* = sizeof this struct                 */
	const char *kind;               /* "IBM Secure Execution"; NULL: it is not
					 * protected, and all else here is 0    */
	uint32_t version;               /* of the encryption                    */
	bool decrypted;                 /* the key was given                    */
	const char *problem;            /* why no key will help, or NULL        */
	uint64_t encrypted, shared, zero, invalid;      /* pages by their state */
};

/* Tell of the encryption of @g; needs no key.  Reads a 256th of the dump. */
GDUMP_MUST_CHECK
struct gdump_error *gdump_protection(struct gdump *g, struct gdump_protection *ret);

/* A register of a CPU, as one of its notes has it. */
struct gdump_register {
	const char *set;                /* "general", "control", "float", ...   */
	const char *name;
	uint32_t size;                  /* bytes: up to 16                      */
	bool key;                       /* program counter or stack pointer     */
	uint64_t value;
	uint64_t high;                  /* bits 64 to 127                       */
};

/* The @i-th register of CPU @cpu; false past the end.  Those of one set follow
 * each other, "general" first.
 */
bool gdump_register_at(const struct gdump *g, size_t cpu, size_t i,
		       struct gdump_register *ret);

/* Copy @len bytes of guest-physical memory at @paddr to @buf.  Safe from many
 * threads.  GDUMP_ERR_NODATA where a byte is in no range or was left out.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_read(struct gdump *g, uint64_t paddr,
			       void *buf, size_t len);

/* The log of the guest's Linux kernel: one record. */
struct gdump_log_record {
	uint64_t seq, time_ns;          /* number; since boot                   */
	uint32_t caller;                /* bit 31: a CPU, else a thread; 0 maybe
					 * means not recorded                   */
	uint8_t facility, level;        /* as in syslog(3)                      */
	const char *text;               /* not terminated; may hold newlines and
					 * anything else; valid during the call */
	size_t len;
};
typedef void gdump_log_fn(void *arg, const struct gdump_log_record *record);

/* Call @fn for each record of the log, the oldest first, on this thread.
 * GDUMP_ERR_UNSUPPORTED where VMCOREINFO does not tell where it is.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_log(struct gdump *g, gdump_log_fn *fn, void *arg);

/* What a guest's Linux kernel tells of itself in its own memory. */
struct gdump_kernel {
	size_t size;                    /* = sizeof this struct                 */
	bool has_uptime;
	bool uptime_is_lower_bound;     /* it is the time of the log's last line,
					 * as nothing else tells                */
	uint64_t uptime;                /* in seconds, as of the last tick      */
	uint64_t boot_time;             /* seconds since 1970 by the guest's
					 * clock; 0: not known                  */
	bool panicked;
	int32_t panic_cpu;              /* which CPU did; -1: not known         */
	char panic[256];                /* why, in the guest's words: may hold
					 * anything; "": not known              */
	uint64_t crash_time;            /* when its crash kernel was started, in
					 * seconds since 1970; 0: it was not    */
};

/* GDUMP_ERR_UNSUPPORTED where the memory of the kernel cannot be followed: there is no
 * VMCOREINFO, or its machine is not known well enough.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_kernel(struct gdump *g, struct gdump_kernel *ret);

/* A process or thread of the guest. */
struct gdump_task {
	uint64_t vaddr;                 /* of its struct task_struct            */
	int32_t pid;                    /* as threads have them; 0: a CPU's idle
					 * task                                 */
	int32_t tgid;                   /* of the process; equal in its first   */
	int32_t cpu;                    /* where it runs or ran last; -1: not
					 * known                                */
	int32_t running_cpu;            /* the CPU that it has now; -1: none    */
	char state;                     /* as ps shows it: R, S, D, T, t, Z, X,
					 * P (parked), I (idle thread)          */
	char name[64];                  /* may hold anything                    */
};
typedef void gdump_task_fn(void *arg, const struct gdump_task *task);

/* Call @fn for each task of a Linux guest, on this thread.  GDUMP_ERR_UNSUPPORTED where
 * its kernel does not carry its types (CONFIG_DEBUG_INFO_BTF); GDUMP_ERR_CORRUPT, and no
 * call, where its lists break off.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_tasks(struct gdump *g, gdump_task_fn *fn, void *arg);

/* Plans ------------------------------------------------------------------- */

/* Which pages to keep, and why the others were left out. */
struct gdump_plan;

enum gdump_drop {               /* bits; the first five are kdump's levels      */
	GDUMP_DROP_ZERO          = 1 << 0,
	GDUMP_DROP_CACHE         = 1 << 1,
	GDUMP_DROP_CACHE_PRIVATE = 1 << 2,
	GDUMP_DROP_USER          = 1 << 3,
	GDUMP_DROP_FREE          = 1 << 4,
	GDUMP_DROP_ABSENT        = 1 << 5,  /* was not in the input             */
	GDUMP_DROP_OFFLINE       = 1 << 6,  /* ballooned or not plugged; goes
					     * with any of the first five       */
	GDUMP_DROP_HWPOISON      = 1 << 7,  /* broken memory; likewise          */
};

/* Plan a dump of @g that leaves out the kinds of pages in @drop (the first five,
 * 0 to 31), as far as the memory of a Linux guest proves what is what: in doubt
 * a page is kept.  Pages of zeros are found when they are written.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_plan_create(struct gdump *g, unsigned int drop,
				      struct gdump_plan **ret);
/* The plan of level 31, only to look at: also of a guest that runs, of which it is about
 * right.  It cannot be written.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_plan_survey(struct gdump *g, struct gdump_plan **ret);
/* Whether page @pfn (paddr / page size) will be in the dump. */
bool gdump_plan_keeps(const struct gdump_plan *plan, uint64_t pfn);
uint64_t gdump_plan_kept(const struct gdump_plan *plan);
uint64_t gdump_plan_dropped(const struct gdump_plan *plan, enum gdump_drop why);
/* Why pages that were to be left out are kept, or NULL */
const char *gdump_plan_warning(const struct gdump_plan *plan);
void gdump_plan_destroy(struct gdump_plan *plan);

/* Dumps ------------------------------------------------------------------- */

/* What a write did, also when it failed half-way. */
struct gdump_result {
	size_t size;                    /* = sizeof this struct                 */
	uint64_t pages;                 /* pages that the dump holds            */
	uint64_t zero;                  /* of them all zero                     */
	uint64_t compressed;            /* stored compressed                    */
	uint64_t uncompressed;          /* stored as they are                   */
	uint64_t unreadable;            /* could not be read: lost in the dump,
					 * which is marked as incomplete        */
	uint64_t bytes;                 /* size of the output                   */
	/* NULL or freed by the caller with free() */
	char *partial_path;             /* the file that a cut short dump left; of a
					 * split one the first of them          */
	char *first_error;              /* why the first lost page was          */
	uint64_t zero_filled;           /* pages that were left out, but stand
					 * as zeros where the format cannot
					 * tell                                 */
	uint64_t lost_cpus;             /* whose registers the firmware did not
					 * give, or the format has no place for */
	uint64_t stalled_us;            /* of a guest that ran on: the longest time
					 * that its memory was not taken from it */
	bool has_checksum;              /* of gdump_verify(): the input has one,
					 * and it is right                      */
};

struct gdump_write_options {
	size_t size;
	const char *format;             /* NULL: "kdump"                        */
	const char *codec;              /* NULL: the format's default           */
	int level;                      /* of the codec; 0: its default, unless
					 * has_level says that 0 is meant       */
	unsigned int threads;           /* 0: one per CPU                       */
	bool flatten;                   /* kdump as a stream of records, as
					 * makedumpfile -F does                 */
	bool force;                     /* replace an existing file             */
	bool resume_guest;              /* let a paused guest go on as soon as
					 * the last page has been read          */
	uint64_t buffer;                /* with it: pages may wait in so many
					 * bytes of memory to be compressed later; 0:
					 * 256 MiB for a plan that leaves pages
					 * out by kind and for a guest that runs
					 * on, else none                        */
	gdump_progress_fn *progress;
	void *progress_arg;
	struct gdump_result *result;
	bool has_level;                 /* level counts, also where it is 0     */
	bool paging;                    /* ELF: also by virtual address, as the
					 * guest's page tables have it          */
	unsigned int split;             /* kdump in so many files, as
					 * makedumpfile --split does: PATH-1,
					 * PATH-2 and so on; 0: one, @path      */
	/* where a guest that runs on is kept until it can go through a pipe, or
	 * be flattened; NULL: nowhere
	 */
	const char *spool_dir;
	bool no_checksum;               /* ELF and kdump: nothing behind the end
					 * of the file for gdump_verify()       */
};

/* Write the pages of @g that @plan keeps (NULL: all) to @path ("-": standard
 * output).  A file appears under @path only when it is complete; until then,
 * and when it was cut short, it is called @path.incomplete.  The mode is 0600.
 * A raw file gets a @path.ranges beside it that tells what is where in it.
 * The bytes do not depend on the number of threads.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_write(struct gdump *g, const struct gdump_plan *plan,
				const char *path,
				const struct gdump_write_options *opt);

/* Whether gdump_write() could begin to write @path with these options: better
 * known before a guest is paused.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_write_check(const char *path, const struct gdump_write_options *opt);

/* About how many bytes gdump_write() would write with these options, from a
 * sample of the pages that @plan keeps.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_estimate(struct gdump *g, const struct gdump_plan *plan,
				   const struct gdump_write_options *opt, uint64_t *ret);

/* Read every byte of @g, decompress every page and count what is there.  The checksum that
 * gdump_write() put behind the file, if there is one, must be right.  Broken
 * pages are GDUMP_ERR_CORRUPT, which tells how many and the first.  Of @opt,
 * threads, progress and result matter.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_verify(struct gdump *g,
				 const struct gdump_write_options *opt);

/* Jobs -------------------------------------------------------------------- */

/* A gdump_write() that runs beside the caller, on a thread of its own. */
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
	const struct gdump_error *error;        /* why it failed: the job's     */
};

/* Called on the job's thread when all is over.  It must not wait for the job. */
typedef void gdump_job_fn(void *arg, struct gdump_job *job);

struct gdump_job_options {
	size_t size;                    /* = sizeof this struct                 */
	const char *path;
	/* needed until the job has ended, as are the callbacks' arguments and
	 * the result of @write
	 */
	const struct gdump_plan *plan;  /* NULL: all                            */
	const struct gdump_write_options *write;        /* is copied            */
	gdump_job_fn *ended;
	void *ended_arg;
};

/* Start it; what gdump_write_check() finds is told here.  Until gdump_job_wait()
 * has returned, @g may be asked and read, but not written, resumed or closed.
 */
GDUMP_MUST_CHECK
struct gdump_error *gdump_job_start(struct gdump *g, const struct gdump_job_options *opt,
				    struct gdump_job **ret);
/* How far it is, from any thread.  @job NULL: GDUMP_JOB_NONE. */
void gdump_job_query(struct gdump_job *job, struct gdump_job_status *ret);
/* Ask it to stop, from any thread: it will fail with GDUMP_ERR_CANCELED, unless
 * it is done before.
 */
void gdump_job_cancel(struct gdump_job *job);
/* Wait until it has ended, free it, and tell what gdump_write() said. */
GDUMP_MUST_CHECK
struct gdump_error *gdump_job_wait(struct gdump_job *job);

/* Guarding a paused guest ------------------------------------------------- */

/*
 * A guest that gdump_open() paused must go on even if this process is killed.
 * The library cannot fork; a program that wants this protection makes a
 * socketpair(AF_UNIX, SOCK_SEQPACKET), forks before it starts threads, calls
 * gdump_guard() with one end in the child (and exits with what it returns),
 * and passes the other as guard_fd.  The library hands the monitor's
 * connection over before it pauses the guest; when the other end of @fd goes
 * away while the guest is still paused, gdump_guard() resumes it.
 *
 * Returns 0 when nothing was left to do or the guest was resumed, else 1.
 */
int gdump_guard(int fd);

/* What this build has ----------------------------------------------------- */

struct gdump_format_info {
	const char *name, *summary;
	bool reads, writes;
};
struct gdump_codec_info {
	const char *name, *library;     /* library NULL: not in this build      */
};

/* The i-th one, or false past the end. */
bool gdump_format_at(size_t i, struct gdump_format_info *ret);
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

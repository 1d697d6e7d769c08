/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * test_prefetch.c - reading a process's memory as it was when it was write-protected: in order
 * (prefetch.h), and any of it (snapshot_view.h)
 *
 * The process is a real one, and the protection the kernel's.  It has numbered pages, of
 * which every fifth was never written to, protects them and waits.  It does what it is told
 * by the letters that come through a socket, and answers each.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "live/prefetch.h"
#include "live/snapshot_view.h"
#include "util/bits.h"

enum {
	PAGES = 640,                    /* of the host                          */
	ROM = 16,                       /* of these: never protected            */
	CHANGED = 30,                   /* the one that is sent and written to  */
	LATE = 100,                      /* the one that is written to at the end */
	PATIENCE = 10000,               /* milliseconds                         */
	SKIP = 77,                      /* exit status: userfaultfd(2) is not to be had */
};

static size_t page;

struct other {
	pid_t pid;
	int control;
	unsigned char *memory;
};

static bool is_empty(size_t i)
{
	return i % 5 == 4;
}

static void fill(unsigned char *p, size_t i)
{
	memset(p, (int)(i % 200 + 1), page);
	memcpy(p, &i, sizeof(i));
}

/* In the process -------------------------------------------------------------- */

static int protect(int fd, unsigned char *addr, size_t num, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)addr, .len = num * page },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &wp);
}

/* As QEMU does it: what was never written to is read, to have something to protect. */
static int protect_all(unsigned char *memory)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register all = {
		.range = { .start = (uintptr_t)(memory + ROM * page), .len = (PAGES - ROM) * page },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	for (size_t i = 0; i < PAGES; i++) {
		if (!is_empty(i))
			fill(memory + i * page, i);
		*(volatile unsigned char *)(memory + i * page);
	}
	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &all) ||
	    protect(fd, memory + ROM * page, PAGES - ROM, true))
		_exit(SKIP);
	return fd;
}

static void live(unsigned char *memory, int control)
{
	int fd = protect_all(memory);
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
	if (write(control, "p", 1) != 1)
		_exit(1);
	while (read(control, &c, 1) == 1) {
		if (c == 's')           /* send a page, and let it be written to */
			protect(fd, memory + CHANGED * page, 1, false);
		if (c == 'w')
			memory[CHANGED * page + 100] = 0xff;
		if (c == 'l')           /* stands still if it is protected yet */
			memory[LATE * page] = memory[(PAGES - 1) * page] = 0xff;
		if (write(control, &c, 1) != 1)
			break;
	}
	_exit(0);
}

/* Here ---------------------------------------------------------------------- */

/* False: no userfaultfd(2) for us */
static bool other_start(struct other *o)
{
	int pair[2], status;
	char c;

	o->memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);
	CHECK(o->memory != MAP_FAILED && !socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	o->pid = fork();
	if (!o->pid) {
		close(pair[0]);
		live(o->memory, pair[1]);
	}
	close(pair[1]);
	o->control = pair[0];
	if (read(o->control, &c, 1) == 1)
		return true;
	waitpid(o->pid, &status, 0);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == SKIP);
	close(o->control);
	munmap(o->memory, PAGES * page);
	return false;
}

static void other_end(struct other *o)
{
	close(o->control);
	kill(o->pid, SIGKILL);          /* it may wait for ever */
	CHECK_INT(waitpid(o->pid, NULL, 0), o->pid);
	munmap(o->memory, PAGES * page);
}

/* Whether it says within some time that it has done @what. */
static bool answers(const struct other *o, char what, int ms)
{
	struct pollfd p = { .fd = o->control, .events = POLLIN };
	char c = 0;

	return poll(&p, 1, ms) > 0 && read(o->control, &c, 1) == 1 && c == what;
}

static bool tell(const struct other *o, char what, int ms)
{
	CHECK_INT(write(o->control, &what, 1), 1);
	return answers(o, what, ms);
}

/* What came of each of the guest's pages */
struct taken {
	uint32_t page_size;
	unsigned int times[PAGES];
	bool unwanted[PAGES];
	unsigned char *memory;
	unsigned char room[64 * 65536];
	size_t num_room;                /* 0: keep it waiting                   */
	const struct other *other;
	size_t change_at;               /* when this page is asked for: it is sent and written to */
};

static struct gdump_error *take(void *arg, uint64_t pfn, const void *data)
{
	struct taken *t = arg;

	CHECK_INT(t->times[pfn]++, 0);
	if (data)
		memcpy(t->memory + pfn * t->page_size, data, t->page_size);
	return NULL;
}

static bool wants(void *arg, uint64_t pfn)
{
	struct taken *t = arg;

	if (pfn == t->change_at) {
		t->change_at = SIZE_MAX;
		CHECK(tell(t->other, 's', PATIENCE) && tell(t->other, 'w', PATIENCE));
	}
	return !t->times[pfn] && !t->unwanted[pfn];
}

static void *room(void *arg, size_t *num)
{
	struct taken *t = arg;

	*num = t->num_room;
	return t->num_room ? t->room : NULL;
}

static bool stopped(void *arg)
{
	(void)arg;
	return false;
}

static void check_taken(const struct taken *t, uint64_t pfn, unsigned int times)
{
	const size_t num = t->page_size / page;
	static unsigned char is[65536], zero[65536];

	if (!CHECK_INT(t->times[pfn], times) || !times)
		return;
	for (size_t i = pfn * num; i < (pfn + 1) * num; i++) {
		fill(is, i);
		CHECK(!memcmp(t->memory + i * page, is_empty(i) ? zero : is, page));
	}
}

static void run(struct prefetch *p, enum prefetch_phase until)
{
	bool worked;

	for (int i = 0; i < 10000 && p->phase != until; i++)
		CHECK_OK(prefetch_step(p, &worked));
	CHECK_INT(p->phase, until);
}

/* False: it could not be done. */
static bool test_reading(uint32_t page_size, size_t num_room)
{
	struct mem_slot slots[2];
	struct procmem *mem = NULL;
	struct taken *t = calloc(1, sizeof(*t));
	const struct page_sink to = {
		.put = take, .wants = wants, .reserve = room, .canceled = stopped, .arg = t,
	};
	struct prefetch p = { .slots = slots, .num_slots = 2, .page_size = page_size, .to = &to };
	const uint64_t changed = CHANGED * page / page_size;
	struct other other;
	bool worked;

	if (!other_start(&other)) {
		free(t);
		return false;
	}
	*t = (struct taken){ .page_size = page_size, .num_room = num_room, .other = &other,
			     .memory = calloc(PAGES, page), .change_at = changed };
	t->unwanted[600 * page / page_size] = true;
	slots[0] = (struct mem_slot){ .size = ROM * page, .hva = (uintptr_t)other.memory,
				  .kind = GDUMP_RANGE_DEVICE };
	slots[1] = (struct mem_slot){ .paddr = ROM * page, .size = (PAGES - ROM) * page,
				  .hva = (uintptr_t)(other.memory + ROM * page) };
	CHECK_OK(procmem_open(other.pid, &mem));
	CHECK_OK(procmem_use(mem, (uintptr_t)other.memory, PAGES * page));
	p.mem = mem;

	/* before it has begun there is nothing to do */
	CHECK_OK(prefetch_step(&p, &worked));
	CHECK(!worked);
	prefetch_begin(&p, other.pid);
	t->num_room = 0;
	CHECK_OK(prefetch_step(&p, &worked));
	CHECK(!worked);
	t->num_room = num_room;

	/* of the first pass the page that was let go is missing, and what is not protected */
	run(&p, PREFETCH_WAIT);
	CHECK_INT(p.missed, 1 + ROM * page / page_size);
	check_taken(t, changed, 0);
	check_taken(t, 0, 0);
	CHECK(!tell(&other, 'l', 100));

	/* it comes; ROM is read as it is; then nothing is protected any more */
	t->times[changed] = 1;
	run(&p, PREFETCH_DONE);
	CHECK_INT(p.passes, 2);
	for (uint64_t pfn = 0; pfn < PAGES * page / page_size; pfn++) {
		if (pfn != changed)
			check_taken(t, pfn, !t->unwanted[pfn]);
	}
	CHECK_OK(prefetch_step(&p, &worked));
	CHECK(!worked);
	CHECK(answers(&other, 'l', PATIENCE));
	prefetch_end(&p);
	procmem_close(mem);
	other_end(&other);
	free(t->memory);
	free(t);
	return true;
}

/* A page that is in two slots would be looked at in neither: so there is no work. */
static void test_parts_of_pages(void)
{
	const struct mem_slot slots[] = {
		{ .size = 5 * page }, { .paddr = 5 * page, .size = 3 * page },
	};
	struct prefetch p = { .slots = slots, .num_slots = 2, .page_size = (uint32_t)page * 4 };
	bool worked;

	prefetch_begin(&p, getpid());
	CHECK_OK(prefetch_step(&p, &worked));
	CHECK(!worked);
	prefetch_cancel(&p);
	prefetch_end(&p);
}

/* What QEMU would send: nothing for a while, and then the page that has changed. */
struct sender {
	struct snapshot_view *view;
	unsigned int calls;
	bool fail;
};

static struct gdump_error *collect(void *arg, bool *ended)
{
	struct sender *sender = arg;
	const struct page_sink sink = view_sink(sender->view);
	unsigned char sent[65536];

	poll(NULL, 0, 20);
	sender->calls++;
	if (sender->fail)
		return error_new(GDUMP_ERR_REMOTE, "it broke off");
	if (sender->calls == 2) {
		fill(sent, CHANGED);
		CHECK_OK(sink.put(sink.arg, CHANGED, sent));
		CHECK_OK(sink.put(sink.arg, 600, NULL));
	}
	*ended = sender->calls == 4;
	return NULL;
}

/* Everything is read as it was, also the page that was sent and written to; then what was
 * collected is passed on.
 */
static void test_view(void)
{
	struct mem_slot slots[] = { { .size = PAGES * page } };
	const struct memory_map map = { .slots = slots, .num_slots = 1 };
	struct snapshot_view view = { .memory = &map, .page_size = (uint32_t)page,
				      .collect = collect };
	struct taken t = { .page_size = (uint32_t)page, .change_at = SIZE_MAX };
	const struct page_sink to = {
		.put = take, .wants = wants, .reserve = room, .canceled = stopped, .arg = &t,
	};
	struct sender sender = { .view = &view };
	const size_t from = ROM * page + 100, len = (PAGES - ROM) * page - 300;
	unsigned char *is = calloc(PAGES, page), *all = calloc(PAGES, page), byte;
	struct procmem *mem = NULL;
	struct other other;
	bool worked;

	view.arg = &sender;
	CHECK(other_start(&other));
	for (size_t i = 0; i < PAGES; i++) {
		if (!is_empty(i))
			fill(is + i * page, i);
	}
	slots[0].hva = (uintptr_t)other.memory;
	CHECK_OK(procmem_open(other.pid, &mem));
	CHECK_OK(procmem_use(mem, (uintptr_t)other.memory, PAGES * page));
	view.mem = mem;
	CHECK(view_can_work(&map, mem, (uint32_t)page));
	CHECK(!view_can_work(&map, mem, (uint32_t)page * PAGES * 2));
	CHECK(tell(&other, 's', PATIENCE) && tell(&other, 'w', PATIENCE));

	view_init(&view);
	CHECK_OK(view_start(&view));
	CHECK_OK(view_read(&view, from, all + from, len));
	CHECK(!memcmp(all + from, is + from, len));
	CHECK(sender.calls >= 2);
	CHECK_OK(view_read(&view, CHANGED * page + 99, all, 3));
	CHECK(!memcmp(all, is + CHANGED * page + 99, 3));
	/* what was never protected never comes */
	CHECK_ERR(view_read(&view, 0, &byte, 1), GDUMP_ERR_NODATA, "did not come in time");
	CHECK_OK(view_stop(&view));

	t.memory = calloc(PAGES, page);
	CHECK_OK(view_give(&view, &to, false, &worked));
	CHECK(!worked && !view_is_empty(&view));
	while (!view_is_empty(&view))
		CHECK_OK(view_give(&view, &to, true, &worked));
	check_taken(&t, CHANGED, 1);
	CHECK_INT(t.times[600], 1);
	view_deinit(&view);

	/* a stream that breaks off */
	view = (struct snapshot_view){ .memory = &map, .mem = mem, .page_size = (uint32_t)page,
				       .collect = collect, .arg = &sender };
	view_init(&view);
	sender.fail = true;
	CHECK_OK(view_start(&view));
	CHECK_ERR(view_read(&view, 0, &byte, 1), GDUMP_ERR_NODATA, "did not come in time");
	CHECK_ERR(view_stop(&view), GDUMP_ERR_REMOTE, "broke off");
	view_deinit(&view);
	procmem_close(mem);
	other_end(&other);
	free(t.memory);
	free(all);
	free(is);
}

/* Pages are found again, also when there are many of them. */
static void test_store(void)
{
	enum { NUM = 20000 };
	struct page_store store = { .page_size = (uint32_t)page };
	unsigned char *data = malloc(page);
	const struct kept_page *kept;
	size_t i = 0, num = 0;

	CHECK(!page_store_find(&store, 0) && !page_store_next(&store, &i));
	for (uint64_t k = 0; k < NUM; k++) {
		fill(data, (size_t)k);
		CHECK_OK(page_store_put(&store, k * 512, k % 3 ? data : NULL));
	}
	fill(data, 1);
	CHECK_OK(page_store_put(&store, 0, data));
	for (uint64_t k = 0; k < NUM; k++) {
		kept = page_store_find(&store, k * 512);
		CHECK(kept && !kept->data == !(k % 3));
		fill(data, (size_t)k);
		CHECK(!kept || !kept->data || !memcmp(kept->data, data, page));
	}
	CHECK(!page_store_find(&store, 1));
	while ((kept = page_store_next(&store, &i)))
		num += kept_page_pfn(kept) % 512 == 0;
	CHECK_INT(num, NUM);
	CHECK(store.bytes > NUM / 3 * 2 * page);
	page_store_deinit(&store);
	CHECK_INT(store.bytes, 0);
	free(data);
}

int main(void)
{
	page = (size_t)sysconf(_SC_PAGESIZE);
	test_parts_of_pages();
	test_store();
	if (!test_reading((uint32_t)page, 64)) {
		printf("SKIP: no write protection by userfaultfd(2) for this user\n");
		return SKIP;
	}
	test_reading((uint32_t)page, 1);
	test_reading((uint32_t)page * 4, 16);
	test_view();
	return check_done();
}

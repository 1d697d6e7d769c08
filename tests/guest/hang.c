// SPDX-License-Identifier: GPL-2.0
// SPDX-FileCopyrightText: the guestdump authors
/*
 * hang.c - a module for tests: what is written to /proc/hang makes the kernel hang
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu-rwsem.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/rtmutex.h>
#include <linux/rwsem.h>
#include <linux/semaphore.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

static DEFINE_MUTEX(hang_a);
static DEFINE_MUTEX(hang_b);
static DECLARE_RWSEM(hang_rwsem);
static DEFINE_RT_MUTEX(hang_rt_mutex);
DEFINE_STATIC_PERCPU_RWSEM(hang_written);
DEFINE_STATIC_PERCPU_RWSEM(hang_read);
static struct semaphore hang_semaphore;
static DECLARE_COMPLETION(hang_done);

static noinline void hang_lock_both(struct mutex *first, struct mutex *second)
{
	mutex_lock(first);
	msleep(500);
	mutex_lock(second);
	mutex_unlock(second);
	mutex_unlock(first);
}

static int hang_ab(void *arg)
{
	hang_lock_both(&hang_a, &hang_b);
	return 0;
}

static int hang_ba(void *arg)
{
	hang_lock_both(&hang_b, &hang_a);
	return 0;
}

static int hang_holder(void *arg)
{
	down_write(&hang_rwsem);
	wait_for_completion(&hang_done);
	up_write(&hang_rwsem);
	return 0;
}

static int hang_reader(void *arg)
{
	msleep(500);
	down_read(&hang_rwsem);
	up_read(&hang_rwsem);
	return 0;
}

static int hang_rt_holder(void *arg)
{
	rt_mutex_lock(&hang_rt_mutex);
	wait_for_completion(&hang_done);
	rt_mutex_unlock(&hang_rt_mutex);
	return 0;
}

static int hang_rt_waiter(void *arg)
{
	msleep(500);
	rt_mutex_lock(&hang_rt_mutex);
	rt_mutex_unlock(&hang_rt_mutex);
	return 0;
}

/* nobody ups it */
static int hang_down(void *arg)
{
	down(&hang_semaphore);
	return 0;
}

static int hang_percpu_holder(void *arg)
{
	percpu_down_write(&hang_written);
	percpu_down_read(&hang_read);
	wait_for_completion(&hang_done);
	percpu_up_read(&hang_read);
	percpu_up_write(&hang_written);
	return 0;
}

static int hang_percpu_reader(void *arg)
{
	msleep(500);
	percpu_down_read(&hang_written);
	percpu_up_read(&hang_written);
	return 0;
}

static int hang_percpu_writer(void *arg)
{
	msleep(500);
	percpu_down_write(&hang_read);
	percpu_up_write(&hang_read);
	return 0;
}

/* RCU waits for this task */
static int hang_rcu(void *arg)
{
	rcu_read_lock();
	wait_for_completion(&hang_done);
	rcu_read_unlock();
	return 0;
}

/* Its CPU's other works do not begin: it neither ends nor sleeps. */
static void hang_work(struct work_struct *work)
{
	for (;;)
		cond_resched();
}

static void hang_other_work(struct work_struct *work)
{
}

static DECLARE_WORK(hang_first, hang_work);
static DECLARE_WORK(hang_second, hang_other_work);

static noinline void hang_spin(void)
{
	for (;;)
		cpu_relax();
}

/* no other task gets the CPU */
static int hang_soft(void *arg)
{
	preempt_disable();
	hang_spin();
	return 0;
}

/* no interrupt, either */
static int hang_hard(void *arg)
{
	local_irq_disable();
	hang_spin();
	return 0;
}

static void hang_start(int (*fn)(void *), const char *name, int cpu)
{
	struct task_struct *task = kthread_create(fn, NULL, "%s", name);

	if (IS_ERR(task))
		return;
	if (cpu >= 0)
		kthread_bind(task, cpu);
	wake_up_process(task);
}

static const struct {
	const char *word, *name;
	int (*fn)(void *arg);
	int cpu;                        /* -1: any                              */
} hang_tasks[] = {
	{ "mutex", "hang-ab", hang_ab, -1 },
	{ "mutex", "hang-ba", hang_ba, -1 },
	{ "rwsem", "hang-holder", hang_holder, -1 },
	{ "rwsem", "hang-reader", hang_reader, -1 },
	{ "locks", "hang-rt-holder", hang_rt_holder, -1 },
	{ "locks", "hang-rt-waiter", hang_rt_waiter, -1 },
	{ "locks", "hang-down", hang_down, -1 },
	{ "locks", "hang-pc-holder", hang_percpu_holder, -1 },
	{ "locks", "hang-pc-reader", hang_percpu_reader, -1 },
	{ "locks", "hang-pc-writer", hang_percpu_writer, -1 },
	{ "rcu", "hang-rcu", hang_rcu, -1 },
	{ "soft", "hang-soft", hang_soft, 1 },
	{ "hard", "hang-hard", hang_hard, 1 },
};

static ssize_t hang_write(struct file *file, const char __user *buf, size_t len, loff_t *off)
{
	char word[16] = "";

	if (copy_from_user(word, buf, min(len, sizeof(word) - 1)))
		return -EFAULT;
	for (size_t i = 0; i < ARRAY_SIZE(hang_tasks); i++) {
		if (sysfs_streq(word, hang_tasks[i].word))
			hang_start(hang_tasks[i].fn, hang_tasks[i].name, hang_tasks[i].cpu);
	}
	if (sysfs_streq(word, "work")) {
		schedule_work_on(1, &hang_first);
		msleep(500);
		schedule_work_on(1, &hang_second);
	} else if (sysfs_streq(word, "oops")) {
		*(volatile int *)8 = 1;
	}
	return len;
}

static const struct proc_ops hang_ops = { .proc_write = hang_write };

static int __init hang_init(void)
{
	sema_init(&hang_semaphore, 0);
	return proc_create("hang", 0200, NULL, &hang_ops) ? 0 : -ENOMEM;
}

module_init(hang_init);
MODULE_DESCRIPTION("makes the kernel hang");
MODULE_LICENSE("GPL");

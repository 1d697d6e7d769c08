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
#include <linux/proc_fs.h>
#include <linux/rwsem.h>
#include <linux/uaccess.h>

static DEFINE_MUTEX(hang_a);
static DEFINE_MUTEX(hang_b);
static DECLARE_RWSEM(hang_rwsem);
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

static ssize_t hang_write(struct file *file, const char __user *buf, size_t len, loff_t *off)
{
	char word[16] = "";

	if (copy_from_user(word, buf, min(len, sizeof(word) - 1)))
		return -EFAULT;
	if (!strncmp(word, "mutex", 5)) {
		hang_start(hang_ab, "hang-ab", -1);
		hang_start(hang_ba, "hang-ba", -1);
	} else if (!strncmp(word, "rwsem", 5)) {
		hang_start(hang_holder, "hang-holder", -1);
		hang_start(hang_reader, "hang-reader", -1);
	} else if (!strncmp(word, "soft", 4)) {
		hang_start(hang_soft, "hang-soft", 1);
	} else if (!strncmp(word, "hard", 4)) {
		hang_start(hang_hard, "hang-hard", 1);
	} else if (!strncmp(word, "oops", 4)) {
		*(volatile int *)8 = 1;
	}
	return len;
}

static const struct proc_ops hang_ops = { .proc_write = hang_write };

static int __init hang_init(void)
{
	return proc_create("hang", 0200, NULL, &hang_ops) ? 0 : -ENOMEM;
}

module_init(hang_init);
MODULE_DESCRIPTION("makes the kernel hang");
MODULE_LICENSE("GPL");

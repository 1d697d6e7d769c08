/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/* victim.c - a process to be extracted: what gdb must find is known */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char pattern[65536];
volatile unsigned long spins;
char *sparse_text;

__attribute__((__noinline__)) static void innermost(int depth)
{
	for (;;) {
		pause();
		spins += (unsigned long)depth;
	}
}

__attribute__((__noinline__)) static void middle(int depth)
{
	innermost(depth + 1);
	spins++;
}

static void *sleeper(void *arg)
{
	middle(41);
	return arg;
}

int main(void)
{
	pthread_t t;
	char *sparse = mmap(NULL, 1 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i * 7 + i / 256);
	sparse_text = sparse + (512 << 20);
	strcpy(sparse_text, "in the middle of nothing");
	pthread_create(&t, NULL, sleeper, NULL);
	printf("ready %d\n", getpid());
	fflush(stdout);
	middle(0);
	return 0;
}

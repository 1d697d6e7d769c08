/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
#include "jobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "failure.h"
#include "json.h"

enum { ANSWER_MS = 2000, KEEP_SECONDS = 24 * 3600, MAX_ANSWER = 1 << 18 };

#define SYSTEM_DIR "/run/guestdump"

/* The directory of this user's session, or NULL. After su or sudo, the variable may name that of
 * another user.
 */
static char *session_dir(void)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char *dir = NULL;
	struct stat st;

	if (runtime && *runtime == '/' && (stat(runtime, &st) || st.st_uid == geteuid()) && asprintf(&dir, "%s/guestdump", runtime) < 0)
		return NULL;
	return dir;
}

char *jobs_dir(void)
{
	char *dir = session_dir();
	struct stat st;

	if (!dir)
		dir = strdup(SYSTEM_DIR);
	if (!dir)
		return NULL;
	if (mkdir(dir, 0700) && errno != EEXIST) {
		failed(FAILURE_SYSTEM, errno, "%s: cannot create this directory for jobs: %s", dir,
		       strerror(errno));
	} else if (lstat(dir, &st) || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
		   st.st_mode & 077) {
		failed(FAILURE_NO_PERMISSION, 0,
		       "%s must be a directory of this user that nobody else may enter", dir);
	} else {
		return dir;
	}
	free(dir);
	return NULL;
}

char *jobs_path(const char *dir, long id, const char *suffix)
{
	char *path = NULL;

	return asprintf(&path, "%s/%ld.%s", dir, id, suffix) < 0 ? NULL : path;
}

int jobs_write(const char *dir, long id, const json_t *job)
{
	char *path = jobs_path(dir, id, "json"), *temp = jobs_path(dir, id, "new");
	int fd = -1, rc = path && temp ? 0 : ENOMEM;

	if (!rc) {
		unlink(temp);
		fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd < 0 || json_dumpfd(job, fd, 0) || rename(temp, path))
			rc = errno ? errno : EIO;
	}
	if (fd >= 0)
		close(fd);
	free(path);
	free(temp);
	return rc;
}

/* Connect to a job; -1 and errno. */
static int job_connect(const char *dir, long id)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	char *path = jobs_path(dir, id, "sock");
	const size_t len = path ? strlen(path) : sizeof(addr.sun_path);
	int fd = -1;

	errno = ENAMETOOLONG;
	if (len < sizeof(addr.sun_path)) {
		memcpy(addr.sun_path, path, len + 1);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)) && errno != EAGAIN) {
		const int errnum = errno;

		close(fd);
		fd = -1;
		errno = errnum;
	}
	free(path);
	return fd;
}

json_t *jobs_ask(const char *dir, long id, const char *word, bool *gone)
{
	static char line[MAX_ANSWER];
	size_t len = 0;
	struct pollfd p = { .fd = job_connect(dir, id), .events = POLLIN };
	ssize_t n = 1;

	*gone = p.fd < 0 && (errno == ECONNREFUSED || errno == ENOENT);
	if (p.fd < 0)
		return NULL;
	snprintf(line, sizeof(line), "%s\n", word);
	if (send(p.fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		n = 0;
	while (n > 0 && len < sizeof(line) && poll(&p, 1, ANSWER_MS) > 0) {
		n = recv(p.fd, line + len, sizeof(line) - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	close(p.fd);
	return n ? NULL : json_loadb(line, len, JSON_DISABLE_EOF_CHECK, NULL);
}

/* The process of a job that was active has vanished. */
static void job_died(const char *dir, long id, json_t *job)
{
	char *sock = jobs_path(dir, id, "sock");
	struct failure f = failure_new(FAILURE_KILLED, 0, "the process of the job was killed");

	json_object_set_new(job, "state", json_string("failed"));
	json_object_set_new(job, "end_time", json_count((uint64_t)time(NULL)));
	json_object_set_new(job, "status", json_integer(f.status));
	json_object_set_new(job, "error", failure_json(&f));
	failure_deinit(&f);
	jobs_write(dir, id, job);
	if (sock)
		unlink(sock);
	free(sock);
}

const char *job_text(const json_t *job, const char *key)
{
	const char *s = json_string_value(json_object_get(job, key));

	return s ? s : "";
}

uint64_t job_number(const json_t *job, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(job, key));
}

/* Read the file of a job; NULL: there is none in the form of this version. */
static json_t *job_read(const char *path)
{
	json_t *job = json_load_file(path, 0, NULL);

	if (job && job_number(job, "schema") == JSON_SCHEMA)
		return job;
	json_decref(job);
	return NULL;
}

bool job_is_active(const json_t *job)
{
	return !strcmp(job_text(job, "state"), "active");
}

/* What @job, which was active when its file was written, is now. Releases it. */
static json_t *job_update(const char *dir, long id, const char *path, json_t *job)
{
	bool gone;
	json_t *now = jobs_ask(dir, id, "query", &gone);

	if (!now && !gone)
		return job;             /* it is busy */
	json_decref(job);
	if (now)
		return now;
	/* it may have ended in between */
	now = job_read(path);
	if (now && job_is_active(now))
		job_died(dir, id, now);
	return now;
}

/* The state of a job: by the job itself if it runs, else from its file; NULL: there is none. */
static json_t *job_load(const char *dir, const char *name, long id)
{
	char *path = NULL;
	json_t *job;
	struct stat st;
	bool is_file;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return NULL;
	is_file = !lstat(path, &st) && S_ISREG(st.st_mode);
	job = is_file ? job_read(path) : NULL;
	if (job && job_is_active(job)) {
		job = job_update(dir, id, path, job);
	} else if (is_file && time(NULL) - st.st_mtime > KEEP_SECONDS) {
		unlink(path);
		json_decref(job);
		job = NULL;
	}
	free(path);
	return job;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return (int)(atol((*a)->d_name) - atol((*b)->d_name));
}

static int is_job(const struct dirent *e)
{
	const size_t len = strspn(e->d_name, "0123456789");

	return len && len < 10 && !strcmp(e->d_name + len, ".json");
}

static bool jobs_in(const char *dir, jobs_fn *fn, void *arg)
{
	struct dirent **names;
	int num = scandir(dir, &names, is_job, by_name);
	bool more = true;

	for (int i = 0; i < num; i++) {
		json_t *job = more ? job_load(dir, names[i]->d_name, atol(names[i]->d_name)) : NULL;

		if (job)
			more = fn(arg, dir, job);
		json_decref(job);
		free(names[i]);
	}
	if (num >= 0)
		free(names);
	return more;
}

void jobs_each(jobs_fn *fn, void *arg)
{
	char *dir = session_dir();

	if (!dir || jobs_in(dir, fn, arg))
		jobs_in(SYSTEM_DIR, fn, arg);
	free(dir);
}

static json_t *job_find_in(const char *dir, long id)
{
	char name[32];

	snprintf(name, sizeof(name), "%ld.json", id);
	return job_load(dir, name, id);
}

json_t *jobs_find(long id, char **dir)
{
	json_t *job;

	*dir = session_dir();
	job = *dir ? job_find_in(*dir, id) : NULL;
	if (job)
		return job;
	free(*dir);
	*dir = strdup(SYSTEM_DIR);
	return *dir ? job_find_in(*dir, id) : NULL;
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * store.c - facts: the AWS SDKs and Tools Reference Guide. Secrets are neither printed nor logged.
 */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static bool is_s3(const char *where)
{
	return !strncmp(where, "s3://", 5);
}

static bool is_url(const char *where)
{
	return !strncmp(where, "https://", 8) || !strncmp(where, "http://", 7);
}

bool is_object(const char *where)
{
	return where && (is_s3(where) || is_url(where));
}

const char *shown_name(const char *where)
{
	const char *host = where && is_url(where) ? strstr(where, "://") + 3 : NULL, *at;
	char *ret;

	if (!host || !(strpbrk(host, "?#@")))
		return where;
	at = memrchr(host, '@', strcspn(host, "/?#"));
	at = at ? at + 1 : host;
	if (asprintf(&ret, "%.*s%.*s", (int)(host - where), where, (int)strcspn(at, "?#"), at) < 0)
		return "URL";
	return ret;
}

/* The first of these variables that is set and not empty; NULL: none is */
static const char *variable(const char *const *names)
{
	for (; *names; names++) {
		const char *value = getenv(*names);

		if (value && *value)
			return value;
	}
	return NULL;
}

#define VARIABLE(...) variable((const char *const[]){ __VA_ARGS__, NULL })

/* --- files of profiles --- */

/* A key of a profile, and which option it sets */
struct profile_key {
	const char *name;
	size_t to;
};

#define KEY(name, member) { name, offsetof(struct gdump_store_options, member) }

static const struct profile_key secret_keys[] = {
	KEY("aws_access_key_id", access_key), KEY("aws_secret_access_key", secret_key),
	KEY("aws_session_token", session_token), { NULL, 0 },
};
static const struct profile_key other_keys[] = {
	KEY("region", region), KEY("endpoint_url", endpoint), KEY("ca_bundle", ca_file), { NULL, 0 },
};

static char *store_trim(char *text)
{
	char *end;

	text += strspn(text, " \t\r\n");
	end = text + strlen(text);
	while (end > text && strchr(" \t\r\n", end[-1]))
		end--;
	*end = 0;
	return text;
}

/* Whether "[NAME]" or "[profile NAME]" is the section of @profile */
static bool profile_is_section(char *line, const char *profile)
{
	char *end = strchr(line, ']');

	if (*line != '[' || !end)
		return false;
	*end = 0;
	line = store_trim(line + 1);
	if (!strncmp(line, "profile ", 8))
		line = store_trim(line + 8);
	return !strcmp(line, profile);
}

/* Set the option of "KEY = VALUE", unless it is set. */
static void profile_take_line(char *line, const struct profile_key *keys, struct gdump_store_options *store)
{
	char *value = strchr(line, '=');

	if (!value || *line == '#' || *line == ';')
		return;
	*value++ = 0;
	line = store_trim(line);
	value = store_trim(value);
	for (; keys->name; keys++) {
		const char **to = (const char **)((char *)store + keys->to);

		if (!strcmp(line, keys->name) && *value && !*to)
			*to = strdup(value);
	}
}

/* Take what @profile says in the file @path; returns whether the file has it. */
static bool profile_read(const char *path, const char *profile, const struct profile_key *keys,
			 struct gdump_store_options *store)
{
	FILE *f = path ? fopen(path, "re") : NULL;
	bool inside = false, found = false;
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		if (*line == '[')
			found |= inside = profile_is_section(line, profile);
		else if (inside && *line != ' ' && *line != '\t')
			profile_take_line(line, keys, store);
	}
	if (line)
		explicit_bzero(line, size);
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* The file that the variable names, or ~/.aws/NAME; to be freed, NULL: there is none */
static char *profile_path(const char *variable_name, const char *name)
{
	const char *path = VARIABLE(variable_name), *home = getenv("HOME");
	char *ret = NULL;

	if (path)
		return strdup(path);
	if (home && asprintf(&ret, "%s/.aws/%s", home, name) < 0)
		ret = NULL;
	return ret;
}

/* Take what the profile says and the environment does not; returns whether there is one. */
static bool store_take_profile(const char *profile, struct gdump_store_options *store)
{
	char *secrets = profile_path("AWS_SHARED_CREDENTIALS_FILE", "credentials");
	char *others = profile_path("AWS_CONFIG_FILE", "config");
	bool found = false;

	/* keys belong together: those of a file are not combined with those of another */
	if (!store->access_key)
		found = profile_read(secrets, profile, secret_keys, store);
	if (!store->access_key)
		found |= profile_read(others, profile, secret_keys, store);
	found |= profile_read(others, profile, other_keys, store);
	free(secrets);
	free(others);
	return found;
}

/* --- the environment --- */

static void store_take_variables(struct gdump_store_options *store)
{
	if (!store->endpoint)
		store->endpoint = VARIABLE("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
	if (!store->region)
		store->region = VARIABLE("AWS_REGION", "AWS_DEFAULT_REGION");
	store->access_key = VARIABLE("AWS_ACCESS_KEY_ID");
	store->secret_key = VARIABLE("AWS_SECRET_ACCESS_KEY");
	store->session_token = store->access_key ? VARIABLE("AWS_SESSION_TOKEN") : NULL;
	store->ca_file = VARIABLE("AWS_CA_BUNDLE");
}

static void store_take_proxy(struct gdump_store_options *store, const char *where)
{
	const char *server = is_url(where) ? where : store->endpoint;
	const bool plain = server && !strncmp(server, "http:", 5);

	store->proxy = plain ? VARIABLE("http_proxy", "all_proxy", "ALL_PROXY") :
			       VARIABLE("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY");
	store->no_proxy = VARIABLE("no_proxy", "NO_PROXY");
}

static int store_find_keys(struct arguments *args)
{
	struct gdump_store_options *store = &args->store;
	const char *profile = VARIABLE("AWS_PROFILE");
	bool found;

	store_take_variables(store);
	if (store->access_key && !store->secret_key)
		return usage_error(args->command,
				   "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not");
	found = store_take_profile(profile ? profile : "default", store);
	if (profile && !found && !store->access_key)
		return usage_error(args->command,
				   "the profile %s, which AWS_PROFILE names, is not in ~/.aws/credentials", profile);
	if (!store->access_key || !store->secret_key)
		return usage_error(args->command,
				   "there are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write a profile to ~/.aws/credentials");
	return ARGUMENTS_GOOD;
}

int store_find(struct arguments *args)
{
	/* nothing is sent to an OUTPUT whose size is only estimated */
	const int num = args->num_words - (args->dry_run && args->num_words > 1);
	const char *object = NULL;
	bool signs = false;
	int status;

	for (int i = 0; i < num; i++) {
		object = is_object(args->words[i]) ? args->words[i] : object;
		signs |= is_s3(args->words[i]);
	}
	if (!object)
		return ARGUMENTS_GOOD;
	status = signs ? store_find_keys(args) : ARGUMENTS_GOOD;
	if (status != ARGUMENTS_GOOD)
		return status;
	if (!args->store.ca_file)
		args->store.ca_file = VARIABLE("AWS_CA_BUNDLE");
	store_take_proxy(&args->store, object);
	args->store.size = sizeof(args->store);
	args->open.store = args->write.store = &args->store;
	return ARGUMENTS_GOOD;
}

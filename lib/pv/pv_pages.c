/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * pv_pages.c - the source of decrypted pages
 *
 * Theory of operation.  A page is one data unit of AES-256-XTS; its tweak is its component
 * in pv_mem_meta, ORed with the nonce of the completion data.  So each page can be decrypted
 * alone, and so can the first bytes of a page.  A read gets the components of some pages
 * from the file, then reads runs of pages to the caller's buffer and decrypts them in place.
 * Zero pages are not read, because their bytes in the file have no meaning.
 *
 * A cipher context of OpenSSL is for one thread at a time, and setting its key costs as much
 * as decrypting half a page.  So contexts are kept in a pool, which grows to the number of
 * threads that read at the same time.
 */
#include "pv_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../util/bits.h"
#include "../util/cleanup.h"
#include "../util/cursor.h"
#include "../util/warn.h"
#include "keys.h"

enum {
	CHUNK = 128,                    /* pages per read of components         */
};

struct pv_idle {
	struct pv_idle *next;
	struct xts *xts;
};

/* A piece of memory to read */
struct pv_run {
	struct pv_source *p;
	struct pv_idle *idle;
	uint64_t paddr;
	unsigned char *buf;
	size_t len;
	const unsigned char *components;        /* from the page of paddr on    */
};

static struct gdump_error *pv_copy_error(const struct gdump_error *err)
{
	return error_new(gdump_error_code(err), "%s", gdump_error_message(err));
}

static struct gdump_error *pv_usable(const struct source *s)
{
	const struct pv_source *p = (const struct pv_source *)s;

	if (p->broken)
		return pv_copy_error(p->broken);
	if (!p->keys)
		return error_new(GDUMP_ERR_NOKEY,
				 "the memory is encrypted, because the guest was protected (IBM "
				 "Secure Execution): give the customer communication key of its "
				 "owner with --key");
	return NULL;
}

static struct gdump_error *pv_idle_take(struct pv_source *p, struct pv_idle **ret)
{
	struct gdump_error *err;
	struct pv_idle *idle;

	pthread_mutex_lock(&p->lock);
	idle = p->idle;
	if (idle)
		p->idle = idle->next;
	pthread_mutex_unlock(&p->lock);
	if (!idle) {
		idle = calloc(1, sizeof(*idle));
		if (!idle)
			return error_nomem();
		err = xts_create(p->crypto, p->keys->xts, &idle->xts);
		if (err) {
			free(idle);
			return err;
		}
	}
	*ret = idle;
	return NULL;
}

static void pv_idle_give(struct pv_source *p, struct pv_idle *idle)
{
	pthread_mutex_lock(&p->lock);
	idle->next = p->idle;
	p->idle = idle;
	pthread_mutex_unlock(&p->lock);
}

/* Decrypt the first @len bytes of a page, if it is encrypted. */
static struct gdump_error *pv_decrypt(const struct pv_run *r, const unsigned char *component,
				      unsigned char *page, size_t len)
{
	const unsigned char *nonce = r->p->keys->nonce;
	unsigned char tweak[CRYPTO_TWEAK];

	if (pv_state(component) != PV_ENCRYPTED)
		return NULL;
	for (size_t i = 0; i < sizeof(tweak); i++)
		tweak[i] = component[i] | nonce[i];
	return xts_decrypt(r->idle->xts, tweak, page, len);
}

static struct gdump_error *pv_invalid(const unsigned char *component, uint64_t paddr)
{
	return error_new(GDUMP_ERR_CORRUPT,
			 "page at 0x%" PRIx64 ": section pv_mem_meta gives it the invalid state "
			 "0x%02x%02x",
			 paddr, component[14], component[15]);
}

/* Read @r->len bytes inside one page. */
static struct gdump_error *pv_read_part_of_page(const struct pv_run *r)
{
	const uint64_t paddr = round_down(r->paddr, PV_PAGE);
	const size_t off = (size_t)(r->paddr - paddr);
	const size_t len = (size_t)round_up(off + r->len, 16);
	unsigned char page[PV_PAGE];
	struct gdump_error *err = source_read(r->p->inner, paddr, page, len);

	if (!err)
		err = pv_decrypt(r, r->components, page, len);
	if (!err)
		memcpy(r->buf, page + off, r->len);
	return err;
}

/* Read whole pages, none of which is zero or invalid. */
static struct gdump_error *pv_read_pages(const struct pv_run *r)
{
	struct gdump_error *err = source_read(r->p->inner, r->paddr, r->buf, r->len);

	for (size_t i = 0; !err && i < r->len / PV_PAGE; i++)
		err = pv_decrypt(r, r->components + i * PV_COMPONENT, r->buf + i * PV_PAGE,
				 PV_PAGE);
	return err;
}

static bool pv_is_in_file(const unsigned char *component)
{
	const enum pv_state state = pv_state(component);

	return state == PV_ENCRYPTED || state == PV_SHARED;
}

/* How many bytes can be read at once: part of a page, or pages that are all in the file */
static size_t pv_run_length(const struct pv_run *r)
{
	const size_t off = (size_t)(r->paddr % PV_PAGE), num = r->len / PV_PAGE;
	size_t n = 1;

	if (off || !num)
		return MIN(PV_PAGE - off, r->len);
	while (n < num && pv_is_in_file(r->components) &&
	       pv_is_in_file(r->components + n * PV_COMPONENT))
		n++;
	return n * PV_PAGE;
}

/* Read pages that all have components. */
static struct gdump_error *pv_read_run(struct pv_run r)
{
	struct gdump_error *err = NULL;
	size_t left = r.len;

	while (!err && left) {
		r.len = left;
		r.len = pv_run_length(&r);
		if (pv_state(r.components) == PV_INVALID)
			err = pv_invalid(r.components, round_down(r.paddr, PV_PAGE));
		else if (pv_state(r.components) == PV_ZERO)
			memset(r.buf, 0, r.len);
		else
			err = r.len < PV_PAGE ? pv_read_part_of_page(&r) : pv_read_pages(&r);
		r.components += (r.paddr % PV_PAGE + r.len) / PV_PAGE * PV_COMPONENT;
		r.paddr += r.len;
		r.buf += r.len;
		left -= r.len;
	}
	return err;
}

/* Read up to CHUNK pages, and advance @r; @some: at least one has a component. */
static struct gdump_error *pv_read_chunk(struct pv_run *r, bool *some)
{
	unsigned char components[CHUNK * PV_COMPONENT];
	const uint64_t first = round_down(r->paddr, PV_PAGE), off = r->paddr - first;
	const size_t len = r->len;
	size_t num;
	struct gdump_error *err;

	err = pv_meta_read(&r->p->meta, first,
			   (size_t)MIN(div_up(off + len, PV_PAGE), CHUNK), components, &num);
	if (err)
		return err;
	r->components = components;
	r->len = (size_t)MIN(MAX(num, 1) * (uint64_t)PV_PAGE - off, len);
	if (num)
		err = pv_read_run(*r);
	else
		memset(r->buf, 0, r->len);
	*some |= num;
	r->paddr += r->len;
	r->buf += r->len;
	r->len = len - r->len;
	return err;
}

static struct gdump_error *pv_read(struct source *s, uint64_t paddr, void *buf, size_t len)
{
	struct pv_source *p = (struct pv_source *)s;
	struct pv_run r = { .p = p, .paddr = paddr, .buf = buf, .len = len };
	struct gdump_error *err = pv_usable(s);
	bool some = false;

	if (!err)
		err = pv_idle_take(p, &r.idle);
	if (err)
		return err;
	while (!err && r.len)
		err = pv_read_chunk(&r, &some);
	pv_idle_give(p, r.idle);
	if (!err && !some)
		err = error_new(GDUMP_ERR_NODATA, "memory at 0x%" PRIx64 " is not in the dump",
				paddr);
	return err;
}

/* Correct the states of the inner source, which cannot know what is encrypted. */
static void pv_scan_chunk(const unsigned char *components, size_t num, unsigned char *state)
{
	for (size_t i = 0; i < num; i++) {
		switch (pv_state(components + i * PV_COMPONENT)) {
		case PV_ZERO:
			state[i] = PAGE_HOLE;
			break;
		case PV_SHARED:
			break;
		default:
			state[i] = PAGE_THERE;
		}
	}
}

static struct gdump_error *pv_scan(struct source *s, uint64_t pfn, size_t num,
				   unsigned char *state, bool holes)
{
	struct pv_source *p = (struct pv_source *)s;
	struct gdump_error *err = p->inner->ops->scan(p->inner, pfn, num, state, holes);
	size_t n;

	for (size_t i = 0; !err && i < num; i += MAX(n, 1)) {
		unsigned char components[CHUNK * PV_COMPONENT];

		err = pv_meta_read(&p->meta, (pfn + i) * PV_PAGE, MIN(num - i, CHUNK), components,
				   &n);
		if (err)
			return err;
		if (n)
			pv_scan_chunk(components, n, state + i);
		else
			state[i] = PAGE_ABSENT;
	}
	return err;
}

static uint64_t pv_gap(struct source *s, uint64_t pfn, uint64_t num, enum page_state *state)
{
	struct source *inner = ((struct pv_source *)s)->inner;
	const uint64_t n = source_gap(inner, pfn, num, state);

	/* a hole in the file may still be an encrypted page */
	return n && *state == PAGE_ABSENT ? n : 0;
}

/* For opt->strict: all pages must be valid. */
static struct gdump_error *pv_check_pages(const struct pv_source *p)
{
	uint64_t count[PV_INVALID + 1], first;
	struct gdump_error *err = pv_meta_count(&p->meta, count, &first);

	if (!err && count[PV_INVALID])
		err = error_new(GDUMP_ERR_CORRUPT,
				"section pv_mem_meta gives %" PRIu64 " page%s an invalid state; "
				"the first is at 0x%" PRIx64,
				count[PV_INVALID], count[PV_INVALID] == 1 ? "" : "s", first);
	return err;
}

static struct gdump_error *pv_open_keys(struct pv_source *p, const char *path)
{
	unsigned char completion[PV_COMPLETION_SIZE];
	struct gdump_error *err = crypto_open(&p->crypto);

	if (!err)
		err = bytes_read(p->meta.in, p->completion.off, completion, sizeof(completion));
	if (!err)
		err = pv_keys_create(p->crypto, path, completion, &p->keys);
	return err;
}

static struct gdump_error *pv_unlock(struct source *s, const struct gdump_open_options *opt)
{
	struct pv_source *p = (struct pv_source *)s;
	struct image image = { 0 };
	struct gdump_error *err = p->broken ? pv_copy_error(p->broken)
					    : pv_open_keys(p, opt->key_file);

	if (!err && opt->strict)
		err = pv_check_pages(p);
	if (!err)
		err = pv_make_image(p, opt, &image);
	if (err) {
		image_deinit(&image);
		return err;
	}
	image_deinit(&s->image);
	s->image = image;
	if (p->meta.by_address)
		warn_caller(opt,
			    "section pv_mem_meta is longer than the memory in the file; assuming the order of addresses");
	return NULL;
}

static struct gdump_error *pv_protection(struct source *s, struct gdump_protection *ret)
{
	const struct pv_source *p = (const struct pv_source *)s;
	uint64_t count[PV_INVALID + 1], first;
	struct gdump_error *err = pv_meta_count(&p->meta, count, &first);

	if (err)
		return err;
	ret->kind = "IBM Secure Execution";
	ret->version = p->version;
	ret->decrypted = p->keys;
	ret->problem = p->broken ? gdump_error_message(p->broken) : NULL;
	ret->encrypted = count[PV_ENCRYPTED];
	ret->shared = count[PV_SHARED];
	ret->zero = count[PV_ZERO];
	ret->invalid = count[PV_INVALID];
	return NULL;
}

/* Completion data and areas were checked when it was unlocked. */
static struct gdump_error *pv_verify(struct source *s, struct damage *to)
{
	struct pv_source *p = (struct pv_source *)s;

	if (p->lost)
		return pv_copy_error(p->lost);
	return p->inner->ops->verify ? p->inner->ops->verify(p->inner, to) : NULL;
}

static void pv_close(struct source *s)
{
	struct pv_source *p = (struct pv_source *)s;

	for (struct pv_idle *idle = p->idle, *next; idle; idle = next) {
		next = idle->next;
		xts_destroy(idle->xts);
		free(idle);
	}
	pthread_mutex_destroy(&p->lock);
	pv_keys_destroy(p->keys);
	crypto_close(p->crypto);
	gdump_error_destroy(p->broken);
	gdump_error_destroy(p->lost);
	pv_meta_deinit(&p->meta);
	source_close(p->inner);
	free(p);
}

static const struct encryption_ops pv_encryption = {
	.usable = pv_usable,
	.unlock = pv_unlock,
	.protection = pv_protection,
};

static const struct source_ops pv_ops = {
	.name = "elf",                  /* the only format of protected dumps   */
	.has_absent = true,
	.read = pv_read,
	.scan = pv_scan,
	.gap = pv_gap,
	.verify = pv_verify,
	.encryption = &pv_encryption,
	.close = pv_close,
};

static struct gdump_error *pv_check_section(const struct pv_sections *sections, const char *name,
					    const struct pv_section *section)
{
	if (!section->found)
		return error_new(GDUMP_ERR_PROTECTED,
				 "the memory is encrypted and can never be decrypted, because "
				 "section %s is missing: the guest's owner did not allow the "
				 "dump, or it failed",
				 name);
	if (!range_fits(section->off, section->size, sections->in->size))
		return error_new(GDUMP_ERR_CORRUPT,
				 "section %s: %" PRIu64 " bytes at offset %" PRIu64 " exceed the "
				 "file (%" PRIu64 " bytes)",
				 name, section->size,
				 section->off,
				 sections->in->size);
	return NULL;
}

/* Whether the dump can be unlocked; sets p->meta and p->version. */
static struct gdump_error *pv_check_sections(struct pv_source *p, struct pv_sections *sections)
{
	unsigned char completion[PV_COMPLETION_SIZE] = { 0 };
	const size_t len = (size_t)MIN(sections->completion.size, sizeof(completion));
	struct cursor c = cursor_init(completion, sizeof(completion), true, true);
	struct gdump_error *err = pv_check_section(sections, "pv_mem_meta", &sections->meta);

	if (!err)
		err = pv_meta_init(&p->meta);
	if (err)
		p->meta.num_loads = 0;
	else
		err = pv_check_section(sections, "pv_compl", &sections->completion);
	if (!err)
		err = bytes_read(sections->in, sections->completion.off, completion, len);
	if (!err)
		err = pv_completion_check(completion, len);
	p->version = get_u32(&c);
	return err;
}

struct gdump_error *pv_wrap(struct source *inner, struct pv_sections *sections, struct source **ret)
{
	struct pv_source *p = calloc(1, sizeof(*p));
	struct gdump_error *err;

	if (!p) {
		free(sections->loads);
		return error_nomem();
	}
	source_init(&p->source, &pv_ops);
	pthread_mutex_init(&p->lock, NULL);
	p->meta = (struct pv_meta){
		.in = sections->in, .loads = sections->loads, .num_loads = sections->num_loads,
		.off = sections->meta.off, .size = sections->meta.size,
	};
	p->completion = sections->completion;
	p->inner = inner;
	p->broken = pv_check_sections(p, sections);
	if (p->broken && gdump_error_code(p->broken) == GDUMP_ERR_NOMEM)
		err = TAKE_PTR(p->broken);
	else
		err = pv_make_image(p, NULL, &p->source.image);
	if (err) {
		p->inner = NULL;        /* still the caller's */
		source_close(&p->source);
		return err;
	}
	*ret = &p->source;
	return NULL;
}

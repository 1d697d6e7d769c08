/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* SPDX-FileCopyrightText: the guestdump authors */
/*
 * report_html.c - a report as one HTML file, which refers to no other
 *
 * Text of the guest is printable ASCII, with bytes of all other kinds as \xNN, and goes through
 * html_text(), which leaves no character that means something in HTML.  Should a browser find a
 * script in it all the same, it does not run it: the page allows only the script whose hash it
 * has.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "report.h"
#include "stack.h"
#include "tool.h"

enum { VALUE = 128, BAR = 1000 };

/* Hides what does not contain the words in the search box, and unfolds what does.  Its hash is in
 * the page's policy; tests/html.sh compares them.
 */
static const char script[] =
	"document.getElementById('q').addEventListener('input',function(){"
	"var q=this.value.toLowerCase();"
	"document.querySelectorAll('.i').forEach(function(e){"
	"e.hidden=q&&e.textContent.toLowerCase().indexOf(q)<0;"
	"if(e.tagName=='DETAILS')e.open=q&&!e.hidden})})";
static const char script_hash[] = "sha256-j2C4KlhlaPQvIflWoYe1V+cyxWcfVzZQwXlQUCECC8Q=";

static const char style[] =
	":root{color-scheme:light dark}"
	"body{font:16px/1.45 system-ui,sans-serif;max-width:70em;margin:0 auto;padding:.5em 1em}"
	"h1{font-size:1.3em;overflow-wrap:anywhere}h2{font-size:1.1em;margin:1.5em 0 .3em}"
	"pre,td,dd,.log{font-family:ui-monospace,monospace;font-size:.85em}"
	"pre{margin:.2em 0 .6em;white-space:pre-wrap;overflow-wrap:anywhere}"
	".v{border-left:.4em solid #d33;padding:.3em .7em;margin:.5em 0;background:#d332}"
	".v.ok{border-color:#2a2;background:#2a22}.v b{overflow-wrap:anywhere}"
	"#q{width:100%;box-sizing:border-box;font-size:1em;padding:.4em;margin:.5em 0}"
	".w{overflow-x:auto}table{border-collapse:collapse}"
	"th,td{text-align:left;padding:.1em .8em .1em 0;white-space:nowrap}td.n{text-align:right}"
	"dl{display:grid;grid-template-columns:minmax(7em,max-content) minmax(0,1fr);gap:.1em 1em;margin:.3em 0}"
	"dd{margin:0;overflow-wrap:anywhere}dd dd,dd td{font-size:1em}dt{opacity:.75}"
	".t{grid-column:1/-1;min-width:0}"
	"details{margin:.2em 0}summary{cursor:pointer;overflow-wrap:anywhere}"
	"svg{width:100%;height:2.2em}.k{display:inline-block;margin-right:1em;white-space:nowrap}"
	"svg.m{height:auto;font:10px ui-monospace,monospace;fill:currentColor}"
	".k svg{width:.9em;height:.9em;vertical-align:-.1em}"
	".log{margin:.5em 0}.log div{white-space:pre-wrap;overflow-wrap:anywhere}"
	".l0,.l1,.l2,.l3{color:#d33}.l4{color:#b70}.l7{opacity:.7}[hidden]{display:none!important}"
	"@media print{#q{display:none}body{font-size:11px;max-width:none}"
	"details::details-content{content-visibility:visible;block-size:auto}}";

/* Text ------------------------------------------------------------------------ */

static void html_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if ((c < ' ' && c != '\t') || c >= 0x7f)
			fprintf(out, "\\x%02x", c);
		else if (strchr("&<>\"'", c))
			fprintf(out, "&#%u;", c);
		else
			putc(c, out);
	}
}

/* A name for people: "boot time" */
static void html_name(FILE *out, const char *name)
{
	for (; *name; name++)
		putc(*name == '_' ? ' ' : *name, out);
}

static void html_value(FILE *out, const struct gdump_fact *f)
{
	const time_t seconds = (time_t)f->number;
	char buf[VALUE] = "";
	struct tm tm;

	if (f->kind == GDUMP_FACT_TEXT)
		html_text(out, f->text);
	else if (f->kind == GDUMP_FACT_FLAG)
		fputs(f->number ? "yes" : "no", out);
	else if (f->kind == GDUMP_FACT_ADDRESS)
		fprintf(out, "0x%" PRIx64, f->number);
	else if (f->unit == GDUMP_UNIT_TIME && gmtime_r(&seconds, &tm) &&
		 strftime(buf, sizeof(buf), "%F %T UTC", &tm))
		fputs(buf, out);
	else {
		report_format_number(f, buf, sizeof(buf));
		fputs(buf, out);
	}
}

/* "name (pid)" */
static void html_who(FILE *out, const struct gdump_fact *task)
{
	const struct gdump_fact *pid = report_fact(task, "pid");

	html_text(out, report_text(task, "name"));
	if (pid)
		fprintf(out, " (%" PRIu64 ")", pid->number);
}

static void html_frame(FILE *out, const struct gdump_frame *f, bool is_first)
{
	fputs(f->kind == GDUMP_FRAME_GUESS ? "? " : f->kind == GDUMP_FRAME_USER ? "user space " : "", out);
	if (f->function) {
		html_text(out, f->function);
		fprintf(out, "+0x%" PRIx64 "/0x%" PRIx64, f->offset, f->size);
	} else {
		fprintf(out, "0x%" PRIx64, f->pc);
	}
	if (f->module) {
		fputs(" [", out);
		html_text(out, f->module);
		putc(']', out);
	}
	fputs(f->kind == GDUMP_FRAME_EXACT && !is_first ? "  &lt;- interrupted here\n" : "\n", out);
}

static void html_stack(FILE *out, const struct gdump_stack *s)
{
	const char *why = stack_end_text(s);

	fputs("<pre>", out);
	for (size_t i = 0; i < s->num_frames; i++)
		html_frame(out, &s->frames[i], !i);
	if (why)
		fprintf(out, "(%s)\n", why);
	fputs("</pre>\n", out);
}

/* Any section ------------------------------------------------------------------ */

static void html_row(FILE *out, const struct gdump_fact *row, const struct gdump_fact *names)
{
	fputs("<tr class=\"i\">", out);
	for (const struct gdump_fact *n = names->children; n; n = n->next) {
		const struct gdump_fact *f = report_fact(row, n->name);

		fputs(f && f->kind == GDUMP_FACT_NUMBER ? "<td class=\"n\">" : "<td>", out);
		if (f)
			html_value(out, f);
		fputs("</td>", out);
	}
	fputs("</tr>\n", out);
}

/* The row with the most columns has all names, as a rule. */
static const struct gdump_fact *html_longest_row(const struct gdump_fact *list)
{
	const struct gdump_fact *longest = list->children;
	size_t most = 0;

	for (const struct gdump_fact *row = list->children; row; row = row->next) {
		size_t num = 0;

		for (const struct gdump_fact *f = row->children; f; f = f->next)
			num++;
		if (num > most) {
			most = num;
			longest = row;
		}
	}
	return longest;
}

static void html_table(FILE *out, const struct gdump_fact *list)
{
	const struct gdump_fact *names = html_longest_row(list);

	fputs("<div class=\"w\"><table>\n<tr>", out);
	for (const struct gdump_fact *n = names->children; n; n = n->next) {
		fputs("<th>", out);
		html_name(out, n->name);
		fputs("</th>", out);
	}
	fputs("</tr>\n", out);
	for (const struct gdump_fact *row = list->children; row; row = row->next)
		html_row(out, row, names);
	fputs("</table></div>\n", out);
}

static void html_fact(FILE *out, const struct gdump_fact *f);

/* A list of values, in one line */
static void html_list(FILE *out, const struct gdump_fact *list)
{
	for (const struct gdump_fact *f = list->children; f; f = f->next) {
		html_fact(out, f);
		fputs(f->next ? ", " : "", out);
	}
}

static void html_group(FILE *out, const struct gdump_fact *group)
{
	fputs("<dl>\n", out);
	for (const struct gdump_fact *f = group->children; f; f = f->next) {
		const bool is_table = f->kind == GDUMP_FACT_LIST && report_is_table(f);

		if ((!f->children && !report_is_scalar(f)) || (f->kind == GDUMP_FACT_TEXT && !*f->text))
			continue;
		fputs("<dt>", out);
		html_name(out, f->name);
		fprintf(out, "</dt><dd class=\"i%s\">", is_table ? " t" : "");
		html_fact(out, f);
		fputs("</dd>\n", out);
	}
	fputs("</dl>\n", out);
}

static void html_fact(FILE *out, const struct gdump_fact *f)
{
	if (f->kind == GDUMP_FACT_STACK)
		html_stack(out, f->stack);
	else if (report_is_scalar(f))
		html_value(out, f);
	else if (f->kind == GDUMP_FACT_LIST && report_is_table(f))
		html_table(out, f);
	else if (f->kind == GDUMP_FACT_LIST)
		html_list(out, f);
	else
		html_group(out, f);
}

/* Sections that have a form of their own ------------------------------------- */

static void html_verdicts(FILE *out, const struct gdump_fact *list)
{
	for (const struct gdump_fact *v = list->children; v; v = v->next) {
		const struct gdump_fact *evidence = report_fact(v, "evidence");

		fprintf(out, "<div class=\"v%s\"><b>", strcmp(report_text(v, "what"), "nothing") ? "" : " ok");
		html_text(out, report_text(v, "text"));
		fputs("</b>", out);
		if (evidence)
			fputs("<pre>", out);
		for (const struct gdump_fact *e = evidence ? evidence->children : NULL; e; e = e->next) {
			html_value(out, e);
			putc('\n', out);
		}
		fputs(evidence ? "</pre></div>\n" : "</div>\n", out);
	}
}

static void html_cpu(FILE *out, const struct gdump_fact *c)
{
	const struct gdump_fact *number = report_fact(c, "cpu"), *task = report_fact(c, "task");
	const struct gdump_fact *off = report_fact(c, "interrupts_off");

	fprintf(out, "CPU %" PRIu64 ", ", number ? number->number : 0);
	html_text(out, report_text(c, "mode"));
	fputs(": ", out);
	html_who(out, task);
	fputs(off && off->number ? ", interrupts off" : "", out);
}

static void html_blocked(FILE *out, const struct gdump_fact *t)
{
	const struct gdump_fact *ns = report_fact(t, "blocked"), *task = report_fact(t, "task");
	const struct gdump_fact *wait = report_fact(t, "waits_for"), *lock = report_fact(wait, "lock");
	const struct gdump_fact *holder = report_fact(wait, "holder");

	html_who(out, task);
	fputs(", state ", out);
	html_text(out, report_text(task, "state"));
	if (ns) {
		fputs(" for ", out);
		html_value(out, ns);
	}
	fputs(report_fact(t, "is_holder") ? "; it holds what another task waits for" : "", out);
	if (wait) {
		fputs("; waits for ", out);
		html_text(out, report_text(wait, "text"));
	}
	if (lock) {
		putc(' ', out);
		html_value(out, lock);
	}
	if (holder) {
		fputs(", held by ", out);
		html_who(out, holder);
	}
}

/* A fold for each, with its stack inside */
static void html_folds(FILE *out, const struct gdump_fact *list)
{
	const bool are_cpus = !strcmp(list->name, "cpus");

	for (const struct gdump_fact *f = list->children; f; f = f->next) {
		const struct gdump_fact *stack = report_fact(f, "stack"), *registers = report_fact(f, "registers");

		fputs("<details class=\"i\"><summary>", out);
		(are_cpus ? html_cpu : html_blocked)(out, f);
		fputs("</summary>\n", out);
		if (stack)
			html_stack(out, stack->stack);
		if (registers)
			html_group(out, registers);
		fputs("</details>\n", out);
	}
}

static void html_records(FILE *out, const struct gdump_fact *list)
{
	for (const struct gdump_fact *r = list ? list->children : NULL; r; r = r->next) {
		const struct gdump_fact *time = report_fact(r, "time"), *level = report_fact(r, "level");

		fprintf(out, "<div class=\"i l%" PRIu64 "\">", level ? level->number & 7 : 0);
		if (time)
			fprintf(out, "[%5" PRIu64 ".%06" PRIu64 "] ", time->number / 1000000000,
				time->number % 1000000000 / 1000);
		html_text(out, report_text(r, "text"));
		fputs("</div>\n", out);
	}
}

static void html_log(FILE *out, const struct gdump_fact *log)
{
	static const char *const lists[] = { "worst", "last", "all" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const struct gdump_fact *list = report_fact(log, lists[i]);

		if (!list || !list->children)
			continue;
		fputs("<div class=\"log\">\n", out);
		html_records(out, list);
		fputs("</div>\n", out);
	}
}

/* The bar of memory: each part is a sum of counts */
static const struct part {
	const char *name, *colour, *counts[2];
} parts[] = {
	{ "free", "#8bc34a", { "free" } },
	{ "page cache", "#42a5f5", { "page_cache", "buffers" } },
	{ "anonymous", "#ab47bc", { "anonymous" } },
	{ "slab", "#ffa726", { "slab_reclaimable", "slab_unreclaimable" } },
	{ "stacks and page tables", "#ef5350", { "kernel_stacks", "page_tables" } },
	{ "huge pages", "#26a69a", { "hugetlb" } },
};
enum { NUM_PARTS = sizeof(parts) / sizeof(parts[0]) };

static uint64_t html_part_size(const struct gdump_fact *memory, const struct part *p)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < 2; i++) {
		const struct gdump_fact *f = p->counts[i] ? report_fact(memory, p->counts[i]) : NULL;

		sum += f ? f->number : 0;
	}
	return sum;
}

static void html_memory(FILE *out, const struct gdump_fact *memory)
{
	const struct gdump_fact *total = report_fact(memory, "total");
	double x = 0;

	if (total && total->number) {
		fprintf(out, "<svg viewBox=\"0 0 %d 20\" preserveAspectRatio=\"none\" role=\"img\">"
			"<rect width=\"%d\" height=\"20\" fill=\"#8888\"/>", BAR, BAR);
		for (size_t i = 0; i < NUM_PARTS; i++) {
			const double width = (double)html_part_size(memory, &parts[i]) /
					     (double)total->number * BAR;

			fprintf(out, "<rect x=\"%.1f\" width=\"%.1f\" height=\"20\" fill=\"%s\"/>", x,
				width, parts[i].colour);
			x += width;
		}
		fputs("</svg>\n<p>", out);
		for (size_t i = 0; i < NUM_PARTS; i++)
			fprintf(out, "<span class=\"k\"><svg viewBox=\"0 0 1 1\"><rect width=\"1\" height=\"1\" "
				"fill=\"%s\"/></svg> %s %s</span>\n", parts[i].colour, parts[i].name,
				size_text(html_part_size(memory, &parts[i])).text);
		fputs("</p>\n", out);
	}
	html_group(out, memory);
}

/* The picture of memory ------------------------------------------------------- */

enum { CELL = 10, LABEL = 120 };

/* What pages of a cell are, from left to right, and in words */
static void html_cell(FILE *out, const struct gdump_fact *cell, uint64_t size,
		      const struct report_map_place *at)
{
	double x = LABEL + (at->column - 1) * CELL;

	fprintf(out, "<g><title>0x%" PRIx64 ":", at->paddr);
	for (const struct report_map_kind *k = report_map_kinds; k->name; k++) {
		if (report_map_bytes(cell, k))
			fprintf(out, " %s %s", k->heading, size_text(report_map_bytes(cell, k)).text);
	}
	fputs("</title>", out);
	for (const struct report_map_kind *k = report_map_kinds; k->name; k++) {
		const double width = (double)report_map_bytes(cell, k) / (double)size * CELL;

		if (width <= 0)
			continue;
		fprintf(out, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/>", x,
			(at->row - 1) * (CELL + 1), width, CELL, k->colour);
		x += width;
	}
	fputs("</g>\n", out);
}

static void html_map_legend(FILE *out, const struct gdump_fact *sum)
{
	fputs("<p>", out);
	for (const struct report_map_kind *k = report_map_kinds; k->name; k++) {
		if (report_map_bytes(sum, k))
			fprintf(out, "<span class=\"k\"><svg viewBox=\"0 0 1 1\"><rect width=\"1\" height=\"1\" "
				"fill=\"%s\"/></svg> %s %s</span>\n", k->colour, k->heading,
				size_text(report_map_bytes(sum, k)).text);
	}
	fputs("</p>\n", out);
}

static void html_map(FILE *out, const struct gdump_fact *map)
{
	const struct gdump_fact *size = report_fact(map, "cell_size"), *cells = report_fact(map, "cells");
	struct report_map_place at = { 0 }, end = { 0 };

	if (!size || !size->number || !cells)
		return;
	for (const struct gdump_fact *c = cells->children; c; c = c->next)
		report_map_row_begins(c, size->number, &end);
	html_map_legend(out, report_fact(map, "sum"));
	fprintf(out, "<p>Each box is %s%s.</p>\n", size_text(size->number).text,
		report_fact(map, "is_sample") ? "; its colors are those of a sample of its pages" : "");
	fprintf(out, "<svg class=\"m\" viewBox=\"0 0 %d %u\" role=\"img\">\n",
		LABEL + REPORT_MAP_COLUMNS * CELL, end.row * (CELL + 1));
	for (const struct gdump_fact *c = cells->children; c; c = c->next) {
		if (report_map_row_begins(c, size->number, &at))
			fprintf(out, "<text y=\"%u\">0x%010" PRIx64 "</text>\n",
				(at.row - 1) * (CELL + 1) + CELL - 1, at.paddr);
		html_cell(out, c, size->number, &at);
	}
	fputs("</svg>\n", out);
}

static const struct {
	const char *section;
	void (*put)(FILE *out, const struct gdump_fact *section);
} forms[] = {
	{ "verdict", html_verdicts }, { "cpus", html_folds }, { "blocked", html_folds },
	{ "memory", html_memory }, { "map", html_map }, { "log", html_log },
};

static void html_section(FILE *out, const struct gdump_fact *section)
{
	const char *heading = report_heading(section->name);
	size_t i = 0;

	while (i < sizeof(forms) / sizeof(forms[0]) && strcmp(forms[i].section, section->name))
		i++;
	fprintf(out, "<section id=\"%s\">\n", section->name);
	if (heading)
		fprintf(out, "<h2>%s</h2>\n", heading);
	(i < sizeof(forms) / sizeof(forms[0]) ? forms[i].put : html_fact)(out, section);
	fputs("</section>\n", out);
}

static void html_head(FILE *out, const char *where)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", out);
	fprintf(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		"style-src 'unsafe-inline'; script-src '%s'; base-uri 'none'; form-action 'none'\">\n",
		script_hash);
	fputs("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Report of ", out);
	html_text(out, where);
	fprintf(out, "</title>\n<style>%s</style>\n</head>\n<body>\n<h1>Report of ", style);
	html_text(out, where);
	fputs("</h1>\n", out);
}

void report_print_html(FILE *out, const struct gdump_fact *report, const char *where,
		       const char *wanted)
{
	const char *box = "<input id=\"q\" type=\"search\" placeholder=\"Search\" aria-label=\"Search\">\n";

	html_head(out, where);
	for (const struct gdump_fact *s = report->children; s; s = s->next) {
		/* below the verdict */
		if (s != report->children) {
			fputs(box, out);
			box = "";
		}
		if (s->children && report_wants(wanted, s->name))
			html_section(out, s);
	}
	fprintf(out, "<script>%s</script>\n</body>\n</html>\n", script);
}

#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""valid_html.py FILE: a page of "guestdump report --html" is well-formed and ASCII, refers to
nothing outside, and has one script, whose hash is in its policy.  Prints the text of the page."""

import base64
import hashlib
import html.parser
import re
import sys

VOID = {"meta", "input", "rect"}
TAGS = VOID | set("html head style body h1 h2 section div b pre details summary dl dt dd table tr th td "
                  "svg g title text p span script".split())
ATTRIBUTES = set("lang charset http-equiv content name id class type placeholder aria-label viewbox role "
                 "preserveaspectratio x y width height fill".split())


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.scripts, self.text, self.policy, self.ids = [], [], [], None, set()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        assert tag in TAGS, "a tag <%s>" % tag
        assert len(attributes) == len(attrs) and set(attributes) <= ATTRIBUTES, attrs
        if "id" in attributes:
            assert attributes["id"] not in self.ids, attrs
            self.ids.add(attributes["id"])
        if attributes.get("http-equiv"):
            self.policy = attributes["content"]
        assert tag != "div" or not {"pre", "p", "span"} & set(self.open), self.open
        if tag == "script":
            self.scripts.append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert tag in VOID, tag
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, "</%s> in %s" % (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    def handle_comment(self, data):
        raise AssertionError("a comment: %s" % data)


source = open(sys.argv[1], "rb").read().decode("ascii")
assert source.startswith("<!DOCTYPE html>\n"), source[:40]
assert not re.search(r"https?:|url\(|@import", source), "it refers to something outside"
page = Page()
page.feed(source)
page.close()
assert not page.open, page.open
assert len(page.scripts) == 1, page.scripts
digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
assert "script-src 'sha256-%s'" % digest in page.policy and "default-src 'none'" in page.policy, (digest, page.policy)
print("".join(page.text))

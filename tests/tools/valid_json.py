#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""Hold what guestdump prints as JSON against its schema.

valid_json.py [--mixed] [--only TYPE,...] FILE...
    each line of the files is one of the objects; with --mixed, those that begin with "{"

As a module: check(text) returns what is wrong, line by line.

The schema allows more members, as a later version may have them; here each has to be in it. Without
the Python module jsonschema only the form is checked: one object per line, its version and type.
"""

import argparse
import copy
import json
import pathlib
import sys

try:
    import jsonschema
except ImportError:
    jsonschema = None

SCHEMA = json.loads((pathlib.Path(__file__).resolve().parents[2] /
                     "tool/guestdump-1.schema.json").read_text())
TYPES = [entry["$ref"].rpartition("/")[2] for entry in SCHEMA["oneOf"]]


def forbid_more(node, is_part=False):
    """Objects have no other members; @is_part: of one that is described in several places."""
    if isinstance(node, list):
        for entry in node:
            forbid_more(entry)
    if not isinstance(node, dict):
        return
    for key, entry in node.items():
        if key == "allOf":
            for part in entry:
                forbid_more(part, True)
        elif key in ("properties", "$defs"):
            for name, value in entry.items():
                forbid_more(value, key == "$defs")
        else:
            forbid_more(entry)
    # python3-jsonschema 4.10 does not count what additionalProperties evaluates
    if (not is_part and ("$ref" in node or "properties" in node)
            and "additionalProperties" not in node):
        node["unevaluatedProperties"] = False


def validators():
    """For each type of object, one that knows all of its members."""
    strict = copy.deepcopy(SCHEMA)
    del strict["oneOf"]
    forbid_more(strict)
    return {name: jsonschema.Draft202012Validator(
        {**strict, "$ref": "#/$defs/" + name, "unevaluatedProperties": False}) for name in TYPES}


VALIDATORS = validators() if jsonschema else {}


def check_line(line):
    """What is wrong with one line, or nothing."""
    try:
        line.encode("ascii")
        found = json.loads(line)
    except ValueError as error:
        yield str(error)
        return
    if not isinstance(found, dict) or found.get("schema") != 1:
        yield "no object of version 1"
    elif found.get("type") not in TYPES:
        yield "the type %r is unknown" % found.get("type")
    elif jsonschema:
        for error in VALIDATORS[found["type"]].iter_errors(found):
            yield "%s: %s" % ("/".join(map(str, error.absolute_path)) or found["type"], error.message)


def check(text, mixed=False):
    return ["line %d: %s\n    %s" % (number, problem[:500], line[:500])
            for number, line in enumerate(text.splitlines(), 1)
            if not mixed or line.startswith("{") for problem in check_line(line)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mixed", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), help="types that may be there")
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    args = parser.parse_args()
    status = 0
    for path in args.files:
        text = path.read_text(errors="surrogateescape")
        problems = check(text, args.mixed)
        if args.only and not problems:
            problems = ["%s is not expected" % kind for kind in
                        (json.loads(line)["type"] for line in text.splitlines()) if kind not in args.only]
        for problem in problems:
            print("%s: %s" % (path, problem), file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())

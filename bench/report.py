# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""What bench/run found out: build/bench.json, tables, and a picture."""

import json
import math
import os
import statistics
import time
from xml.sax.saxutils import escape

from cases import MEASURES, SIZES, TARGETS, THREADS

COLUMNS = (     # of the table of medians: title, key, format
    ("wall s", "wall", "%.3f"), ("CPU s", "cpu", "%.2f"), ("CPU s/GiB", "cpu_gib", "%.3f"),
    ("+sync s", "sync", "%.2f"),
    ("paused ms", "paused_ms", "%.1f"), ("RSS MiB", "rss_mib", "%.0f"), ("bytes", "bytes", "%d"),
    ("on disk", "allocated", "%d"), ("rate", "rate", "%.0f"),
)


def look_at_file(path):
    """Its size, and how long the disk still takes: our programs' time has that in it."""
    began = time.monotonic()
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    stat = os.stat(path)
    return {"sync": time.monotonic() - began, "bytes": stat.st_size,
            "allocated": stat.st_blocks * 512}


def medians(runs):
    keys = dict.fromkeys(key for run in runs for key in run)
    return {key: statistics.median(values) for key in keys
            if (values := [r[key] for r in runs if r.get(key) is not None])}


def rows_of(found):
    rows = []
    for case, peer, what, target in TARGETS:
        if case not in found or (peer and peer not in found):
            continue
        ours, theirs = found[case], found.get(peer)
        measure = MEASURES[what]
        ratio = measure.value(ours, theirs)
        row = {"case": case, "peer": peer, "what": what, "ratio": round(ratio, 3),
               "target": target, "met": ratio >= target if measure.at_least else ratio <= target}
        if what == "speed" and ours["cpu"]:
            row["cpu_ratio"] = round(theirs["cpu"] / ours["cpu"], 3)
        rows.append(row)
    return rows


def add_older(new, path):
    """Take over the runs of things that were not measured now."""
    try:
        old = json.loads(path.read_text())
    except OSError:
        return
    if old.get("small") != new["small"]:
        return
    for key in ("runs", "when"):
        new[key] = {**old.get(key, {}), **new[key]}
    new["versions"] = {**old["versions"], **new["versions"]}


def write(result, build):
    result["medians"] = {name: medians(runs) for name, runs in result["runs"].items()}
    result["rows"] = rows_of(result["medians"])
    result["time"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    new = build / "bench.json.new"
    new.write_text(json.dumps(result, indent=1) + "\n")
    new.rename(build / "bench.json")
    (build / "bench.svg").write_text(plot(result["rows"]))
    (build / "bench-scale.svg").write_text(plot_scale(result["medians"]))
    print_tables(result)
    return result["rows"]


def cells(median):
    return [form % median[key] if median.get(key) is not None else "-"
            for _, key, form in COLUMNS]


def wanted(row):
    return "%s %g" % ("≥" if MEASURES[row["what"]].at_least else "≤", row["target"])


def print_tables(result):
    print("%-27s" % "medians" + "".join("%14s" % title for title, _, _ in COLUMNS))
    for name, median in result["medians"].items():
        print("%-27s" % name + "".join("%14s" % cell for cell in cells(median)))
    print()
    for row in result["rows"]:
        print("%-19s %-27s %9.4g %-27s %-7s %s" % (
            row["case"], row["peer"] or "", row["ratio"], MEASURES[row["what"]].text,
            wanted(row), "met" if row["met"] else "missed"))


def print_markdown(result):
    print("| case | against | found | target | |\n|---|---|---|---|---|")
    for row in result["rows"]:
        print("| %s | %s | %.3g %s | %s | %s |" % (
            row["case"], row["peer"] or "", row["ratio"], MEASURES[row["what"]].text, wanted(row),
            "met" if row["met"] else "**missed**"))
    print("\n| medians | %s |\n|---%s|" % (" | ".join(title for title, _, _ in COLUMNS),
                                          "|---:" * len(COLUMNS)))
    for name, median in result["medians"].items():
        print("| %s | %s |" % (name, " | ".join(cells(median))))


def plot(rows):
    """How far each case is from its target: 1 is the target, to the right is better."""
    width, left, right, line, top = 900, 330, 130, 18, 40
    rows = [(row, goal(row)) for row in rows]
    if not rows:
        return ""
    most = max(max(abs(math.log2(value)) for _, value in rows), 1)
    most = min(math.ceil(most), 6)

    def x(value):
        log = max(-most, min(most, math.log2(value)))
        return left + (width - left - right) * (log + most) / (2 * most)

    svg = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
           'font-family="sans-serif" font-size="12">' % (width, top + line * len(rows) + 10),
           '<rect width="100%" height="100%" fill="#fff"/>',
           '<text x="%d" y="16">times the target (right of the line: met)</text>' % left]
    for power in range(-most, most + 1):
        at = x(2.0 ** power)
        svg.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="%s"/>' % (
            at, at, top - 6, top + line * len(rows), "#000" if not power else "#ddd"))
        svg.append('<text x="%.1f" y="%d" text-anchor="middle" fill="#666">%g</text>' % (
            at, top - 9, 2.0 ** power))
    for i, (row, value) in enumerate(rows):
        y, end = top + line * i, x(value)
        start = x(1)
        svg.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (
            left - 6, y + 12, escape("%s, %s" % (row["case"], row["what"]))))
        svg.append('<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>' % (
            min(start, end), y + 2, max(abs(end - start), 1), line - 5,
            "#4a90d9" if row["met"] else "#d9664a"))
        svg.append('<text x="%d" y="%d">%s</text>' % (
            width - right + 6, y + 12, escape("%.3g (%s)" % (row["ratio"], wanted(row)))))
    return "\n".join(svg) + "\n</svg>\n"


def goal(row):
    """1: as good as the target; 2: twice as good."""
    ratio, target = max(row["ratio"], 1e-3), row["target"]
    return ratio / target if MEASURES[row["what"]].at_least else target / ratio


def plot_scale(found):
    """Wall and CPU seconds per GiB, over the size and over the number of threads."""
    charts = (("memory", list(SIZES), list(SIZES)),
              ("threads for 1 GiB", [str(n) for n in THREADS], ["1g-%d" % n for n in THREADS]))
    width, height, left, top = 420, 260, 50, 40
    svg = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" '
           'font-family="sans-serif" font-size="12">' % (2 * width, height),
           '<rect width="100%" height="100%" fill="#fff"/>']
    most = max([found["scale/" + name]["cpu_gib"] for _, _, names in charts for name in names
                if "scale/" + name in found], default=0)
    if not most:
        return ""
    for i, (title, labels, names) in enumerate(charts):
        x = [width * i + left + j * (width - 2 * left) / (len(names) - 1) for j in range(len(names))]
        floor = height - top
        svg.append('<text x="%d" y="16">seconds per GiB, over %s</text>' % (x[0], escape(title)))
        svg.append('<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="#000"/>' % (
            x[0], x[-1], floor, floor))
        for at, label in zip(x, labels):
            svg.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' % (
                at, floor + 18, label))
        for key, color, text in (("cpu_gib", "#d9664a", "CPU"), ("wall_gib", "#4a90d9", "wall")):
            points = [(at, floor - found["scale/" + name][key] / most * (floor - top),
                       found["scale/" + name][key])
                      for at, name in zip(x, names) if "scale/" + name in found]
            svg.append('<polyline fill="none" stroke="%s" points="%s"/>' % (
                color, " ".join("%.1f,%.1f" % (at, y) for at, y, _ in points)))
            for at, y, value in points:
                svg.append('<text x="%.1f" y="%.1f" text-anchor="middle" fill="%s">%s%.3g</text>' % (
                    at, y - 5, color, text + " " if at == x[0] else "", value))
    return "\n".join(svg) + "\n</svg>\n"

# SPDX-License-Identifier: LGPL-2.1-or-later
# SPDX-FileCopyrightText: the guestdump authors
"""What bench/run measures, as tables.  To add a case: a row in THINGS, a row in TARGETS.

A thing is called GROUP/NAME.  Things of one group are measured in turns.
"""

import os
import subprocess
import sys
from collections import namedtuple

# A way to make a thing: of(bench, words) is a method's name of Bench in bench/run.  In
# @words, {program}, {meter}, {qmp}, {out} and the names of FILES stand for paths.
Thing = namedtuple("Thing", "how words needs", defaults=((),))


def dump(*options):
    return Thing("program", ("{program}", "dump", "--quiet", *options, "qmp:{qmp}", "{out}"))


def convert(infile, *options):
    return Thing("program", ("{program}", "convert", "--quiet", *options, *infile.split(), "{out}"))


def makedumpfile(infile, *options):
    return Thing("program", ("makedumpfile", *options, *infile.split(), "{out}"),
                 ("makedumpfile",))


def limit(codec, level=1, infile="{elf}", was="-"):
    """The codec alone on the pages of a file, which codec @was has compressed, and a bare copy of
    what it makes.  "=" only checks them.
    """
    return Thing("limit", ("pages", was, codec, str(level), infile, "{out}"))


def bare_copy(infile):
    return Thing("limit", ("copy", infile, "{out}"))


def needing(what, thing):
    return thing._replace(needs=(*thing.needs, what))


QEMU_ELF = Thing("qemu_dump", ("elf",))
DUMPS = {
    "qemu-elf": QEMU_ELF,
    "elf": dump("-E"),
    "qemu-zlib": Thing("qemu_dump", ("kdump-zlib",)),
    "zlib": dump("-c"),
    "zlib0": needing("ISA-L", dump("-C", "zlib:0")),
    "lzo": needing("lzo", dump("-l")),
    "snappy": needing("snappy", dump("-p")),
    "zstd": needing("zstd", dump("-C", "zstd:1")),
    "none": dump("-C", "none"),
    # There is no other way to a filtered dump than these two steps.  makedumpfile 1.7.2 does
    # not find the program headers of QEMU 7.2's file, so that it gets ours of the same guest.
    "qemu+makedumpfile-31": Thing("qemu_dump_then", ("makedumpfile", "-c", "-d", "31", "{elf}",
                                                     "{out}"), ("makedumpfile",)),
    "zlib-31": dump("-c", "-d", "31"),
    "elf-31": dump("-E", "-d", "31"),
    "qemu-snapshot": Thing("qemu_snapshot", ()),
    "qemu-snapshot-pipe": Thing("qemu_snapshot", ("pipe",)),
    "live-zlib0": needing("ISA-L", dump("--live", "-C", "zlib:0")),
    "live-elf": dump("--live", "-E"),
    "live-31": dump("--live", "-c", "-d", "31"),
    "report": Thing("program", ("{program}", "report", "qmp:{qmp}")),
    "limit-elf": bare_copy("{elf}"),
    "limit-zlib": limit("zlib"),
    "limit-zlib0": needing("ISA-L", limit("zlib", 0)),
    "limit-lzo": needing("lzo", limit("lzo")),
    "limit-snappy": needing("snappy", limit("snappy")),
    "limit-zstd": needing("zstd", limit("zstd")),
    "limit-none": limit("none"),
}
CONVERSIONS = {
    "makedumpfile-zlib": makedumpfile("{elf}", "-c", "-d", "1"),
    "zlib": convert("{elf}", "-c", "-d", "1"),
    "makedumpfile-lzo": makedumpfile("{elf}", "-l", "-d", "1"),
    "lzo": needing("lzo", convert("{elf}", "-l", "-d", "1")),
    # from an ELF and from a packed file: the pages that stay need not be packed anew
    "makedumpfile-31": makedumpfile("{elf}", "-c", "-d", "31"),
    "elf-31": convert("{elf}", "-c", "-d", "31"),
    "makedumpfile-refilter": makedumpfile("{zlib}", "-c", "-d", "31"),
    "refilter": convert("{zlib}", "-c", "-d", "31"),
    "makedumpfile-recode": makedumpfile("{zlib}", "-l", "-d", "1"),
    "recode": needing("lzo", convert("{zlib}", "-l", "-d", "1")),
    "makedumpfile-R": Thing("program", ("sh", "-c", "makedumpfile -R {out} <{flat}"),
                            ("makedumpfile",)),
    "flat": convert("{flat}", "-l"),
    "makedumpfile-reassemble": makedumpfile("{part1} {part2}", "--reassemble"),
    "reassemble": convert("{part1} {part2}", "-l"),
    # compressed pages stay as they are, in one file and in two
    "copy": convert("{zlib}", "-c", "-d", "1"),
    "split": convert("{zlib}", "-c", "-d", "1", "--split", "2"),
    "limit-zlib": limit("zlib"),
    "limit-lzo": needing("lzo", limit("lzo")),
    "limit-31": limit("zlib", infile="{elf31}"),
    "limit-refilter": limit("=", infile="{elf31}", was="zlib"),
    "limit-recode": needing("lzo", limit("lzo", was="zlib")),
    "limit-flat": bare_copy("{flat}"),
    "limit-copy": limit("=", was="zlib"),
}
# Cost grows as the work: so much memory, and so many threads; the last is sparse
SIZES = {"256m": 0.25, "1g": 1, "4g": 4, "16g": 16}
THREADS = (1, 2, 4, 8)
SCALES = {
    **{size: convert("{scale%s}" % size, "-c") for size in SIZES},
    **{"1g-%d" % n: convert("{scale1g}", "-c", "-j", str(n)) for n in THREADS},
}
PARTS = {
    "zlib-1-thread": convert("{elf}", "-c", "-j", "1"),
    "zlib-2-threads": convert("{elf}", "-c", "-j", "2"),
    "zstd-1-thread": needing("zstd", convert("{elf}", "-C", "zstd:1", "-j", "1")),
    "zstd-2-threads": needing("zstd", convert("{elf}", "-C", "zstd:1", "-j", "2")),
    "to-null": Thing("program", ("{program}", "convert", "--quiet", "-E", "--force", "{zlib}", "/dev/null")),
    "mount": Thing("mount", ("{program}", "sequential", "{zlib}"), ("fusermount3",)),
    "mount-random": Thing("mount", ("{program}", "random", "{zlib}"), ("fusermount3",)),
    "plan": Thing("meter", ("plan", "{elf}")),
    "openssl-xts": Thing("openssl", (), ("openssl",)),
    "decrypt": Thing("meter", ("decrypt", "{sealed}", "{key}"), ("openssl",)),
    "zgetdump": Thing("program", ("zgetdump", "-k", "{key}", "-f", "elf", "{sealed}", "-o",
                                  "{out}"), ("zgetdump",)),
    "decrypt-elf": Thing("program", ("{program}", "convert", "--quiet", "-E", "-k", "{key}",
                                     "{sealed}", "{out}"), ("openssl",)),
    "pipeline-1": Thing("meter", ("pipeline", "1", "0")),
    "pipeline-64": Thing("meter", ("pipeline", "64", "0")),
    "sleep-1": Thing("meter", ("pipeline", "1", "4000")),
    "sleep-64": Thing("meter", ("pipeline", "64", "4000")),
    "info-1t": Thing("program", ("{program}", "info", "{sparse_kdump}")),
    "info-1t-elf": Thing("program", ("{program}", "info", "{sparse}")),
    "info-16t-elf": Thing("program", ("{program}", "info", "{sparse16}")),
    "convert-1t": convert("{sparse_note}", "-c", "-d", "1"),
}

THINGS = {group + "/" + name: thing for group, things in (
    ("plain", DUMPS), ("memfd", DUMPS), ("convert", CONVERSIONS), ("scale", SCALES),
    ("part", PARTS),
) for name, thing in things.items()}


def gib_of(name, small):
    """How much memory a thing works on, in GiB; None: that says nothing about it."""
    group, _, rest = name.partition("/")
    if group == "scale":
        return SIZES[rest.partition("-")[0]]
    return None if group == "part" else 1 if small else 4


# What is compared, and how to read it: text, whether it shall be at least the target (else
# at most), and the value from the medians of the case and of its peer
Measure = namedtuple("Measure", "text at_least value")
MEASURES = {
    "speed": Measure("times faster", True, lambda ours, peer: peer["wall"] / ours["wall"]),
    # with what the disk still takes: our programs wait for it, the others do not
    "to disk": Measure("times faster, all on disk", True,
                       lambda ours, peer: (peer["wall"] + peer["sync"]) /
                       (ours["wall"] + ours["sync"])),
    "wall": Measure("times its wall time", False, lambda ours, peer: ours["wall"] / peer["wall"]),
    "cpu": Measure("times its CPU time", False, lambda ours, peer: ours["cpu"] / peer["cpu"]),
    "less cpu": Measure("times less CPU time", True, lambda ours, peer: peer["cpu"] / ours["cpu"]),
    "wall of a GiB": Measure("times its wall time per GiB", False,
                             lambda ours, peer: ours["wall_gib"] / peer["wall_gib"]),
    "cpu of a GiB": Measure("times its CPU time per GiB", False,
                            lambda ours, peer: ours["cpu_gib"] / peer["cpu_gib"]),
    "size": Measure("times its size", False, lambda ours, peer: ours["bytes"] / peer["bytes"]),
    "pause": Measure("ms of pause", False, lambda ours, peer: ours["paused_ms"]),
    "pause ratio": Measure("times its pause", False,
                           lambda ours, peer: ours["paused_ms"] / peer["paused_ms"]),
    "more pause": Measure("ms of pause more than QEMU reports for the same snapshot", False,
                          lambda ours, peer: ours["paused_ms"] - ours["downtime_ms"]),
    "user rate": Measure("of its rate, without the kernel's reading", True,
                         lambda ours, peer: ours["user_rate"] / peer["rate"]),
    "throughput": Measure("times its throughput", True,
                          lambda ours, peer: ours["throughput"] / peer["throughput"]),
    "millions": Measure("million a CPU second", True, lambda ours, peer: ours["rate"] / 1e6),
    "read": Measure("microseconds of CPU for a read of 4 KiB", False, lambda ours, peer: ours["read_us"]),
    "ms": Measure("ms", False, lambda ours, peer: ours["wall"] * 1e3),
    # of what no program can do faster: it takes as long as the peer, a limit
    "limit": Measure("of its limit", True, lambda ours, peer: peer["wall"] / ours["wall"]),
    "memory": Measure("MiB", False, lambda ours, peer: ours["rss_mib"]),
}

# case, peer or None, what of MEASURES, target
IN_BOTH = [
    ("elf", "qemu-elf", "speed", 2.5),
    ("elf", "qemu-elf", "to disk", 2.5),
    ("zlib", "qemu-zlib", "speed", 8),
    ("zlib", "qemu-zlib", "size", 1.01),
    ("elf", "limit-elf", "limit", 0.85),
    ("zlib", "limit-zlib", "limit", 0.85),
]
TARGETS = [("%s/%s" % (memory, case), "%s/%s" % (memory, peer), what, target)
           for memory in ("plain", "memfd") for case, peer, what, target in IN_BOTH] + [
    ("plain/zlib0", "plain/qemu-zlib", "speed", 15),
    ("plain/lzo", "plain/qemu-zlib", "speed", 7),
    ("plain/snappy", "plain/qemu-zlib", "speed", 7),
    ("plain/zstd", "plain/qemu-zlib", "speed", 6),
    ("plain/zstd", "plain/qemu-zlib", "size", 1.01),
    *(("plain/" + codec, "plain/limit-" + codec, "limit", 0.85)
      for codec in ("zlib0", "lzo", "snappy", "zstd", "none")),
    ("plain/zlib-31", "plain/qemu+makedumpfile-31", "speed", 12),
    ("plain/zlib-31", "plain/qemu+makedumpfile-31", "size", 1.01),
    ("plain/zlib-31", None, "pause", 400),
    ("plain/elf-31", "plain/qemu+makedumpfile-31", "speed", 12),
    ("plain/live-zlib0", None, "more pause", 5),
    ("plain/live-zlib0", None, "pause", 100),
    ("plain/live-zlib0", "plain/qemu-snapshot", "wall", 1.25),
    ("plain/live-elf", None, "more pause", 5),
    ("plain/live-elf", "plain/qemu-snapshot", "wall", 1.25),
    ("plain/live-elf", "plain/qemu-snapshot-pipe", "wall", 1.25),
    # a plan is made while the guest runs
    ("plain/live-31", "plain/live-elf", "pause ratio", 1.5),
    ("plain/live-31", "plain/zlib-31", "pause ratio", 1),
    ("plain/report", None, "ms", 700),
    ("convert/zlib", "convert/makedumpfile-zlib", "speed", 6),
    ("convert/zlib", "convert/makedumpfile-zlib", "size", 1.01),
    ("convert/lzo", "convert/makedumpfile-lzo", "speed", 6),
    ("convert/lzo", "convert/makedumpfile-lzo", "size", 1.01),
    ("convert/elf-31", "convert/makedumpfile-31", "speed", 6),
    ("convert/elf-31", "convert/makedumpfile-31", "size", 1.01),
    ("convert/refilter", "convert/makedumpfile-refilter", "speed", 6),
    ("convert/refilter", "convert/makedumpfile-refilter", "size", 1.01),
    ("convert/recode", "convert/makedumpfile-recode", "speed", 6),
    ("convert/recode", "convert/makedumpfile-recode", "size", 1.01),
    ("convert/flat", "convert/makedumpfile-R", "speed", 5),
    ("convert/flat", "convert/makedumpfile-R", "to disk", 1),
    ("convert/reassemble", "convert/makedumpfile-reassemble", "to disk", 1),
    ("convert/split", "convert/copy", "cpu", 1.05),
    *(("convert/" + case, "convert/limit-" + of, "limit", 0.85) for case, of in (
        ("zlib", "zlib"), ("lzo", "lzo"), ("elf-31", "31"), ("refilter", "refilter"),
        ("recode", "recode"), ("flat", "flat"), ("reassemble", "flat"), ("copy", "copy"))),
    ("part/zlib-2-threads", "part/zlib-1-thread", "speed", 1.8),
    ("part/zstd-2-threads", "part/zstd-1-thread", "speed", 1.8),
    ("part/plan", None, "millions", 5),
    ("part/mount", "part/to-null", "wall", 1.5),
    ("part/mount-random", None, "read", 100),
    ("part/decrypt", "part/openssl-xts", "user rate", 0.6),
    ("part/decrypt-elf", "part/zgetdump", "speed", 10),
    ("part/sleep-64", "part/sleep-1", "throughput", 57.6),
    ("part/info-1t", None, "ms", 50),
    ("part/info-1t-elf", None, "ms", 50),
    # 2 bits a page, and 4 MiB for each of two threads
    ("part/convert-1t", None, "memory", 64 + 8),
    ("plain/zlib", None, "memory", 0.25 + 8),
]
TARGETS += [(case, peer, "less cpu", 1) for case, peer, what, _ in TARGETS
            if what == "speed" and not case.startswith("part/")]
# no size costs more per GiB than the one before, no number of threads more than the one before
TARGETS += [("scale/" + larger, "scale/" + smaller, what, 1.1)
            for names in (list(SIZES), ["1g-%d" % n for n in THREADS])
            for smaller, larger in zip(names, names[1:])
            for what in ("wall of a GiB", "cpu of a GiB")]
# measured for their figures alone
EXTRA = ["part/info-16t-elf", "part/pipeline-1", "part/pipeline-64"]
CASES = list(dict.fromkeys([case for case, _, _, _ in TARGETS] + EXTRA))
GROUPS = ("plain", "memfd", "convert", "scale", "part")


def run(*words, **kwargs):
    subprocess.run([str(w) for w in words], check=True, stdout=sys.stderr, **kwargs)


VMCOREINFO = b"OSRELEASE=6.1.0\nPAGESIZE=4096\n".ljust(32, b"\n")


def numbers(*pairs):
    return b"".join(value.to_bytes(width, "little") for value, width in pairs)


def sparse_elf(path, tib, text=b""):
    """An ELF core of a guest of so many TiB that never touched its memory; @text is its
    VMCOREINFO.
    """
    write_elf(path, (tib << 40) - 8192, text)   # ext4 has no larger files than 16 TiB less a block


def filled_elf(path, gib, source):
    """An ELF core of so much memory, up to 4 GiB of it filled with pages of the dump @source."""
    size = int(gib * (1 << 30))
    write_elf(path, size)
    with open(source, "rb") as elf, open(path, "r+b") as f:
        elf.seek(os.lseek(elf.fileno(), 64 << 20, os.SEEK_DATA))
        data = elf.read(128 << 20)
        f.seek(4096)
        for _ in range(min(size, 4 << 30) // len(data)):
            f.write(data)


def write_elf(path, size, text=b""):
    note = numbers((11, 4), (len(text), 4), (0, 4)) + b"VMCOREINFO\0\0" + text if text else b""
    ehdr = b"\x7fELF\2\1\1" + bytes(9) + numbers(
        (4, 2), (62, 2), (1, 4), (0, 8), (64, 8), (0, 8), (0, 4), (64, 2), (56, 2), (2, 2),
        (64, 2), (0, 2), (0, 2))
    phdrs = numbers((4, 4), (0, 4), (512, 8), (0, 8), (0, 8), (len(note), 8), (len(note), 8),
                    (0, 8), (1, 4), (7, 4), (4096, 8), (0, 8), (0, 8), (size, 8), (size, 8), (0, 8))
    with open(path, "wb") as f:
        f.write((ehdr + phdrs).ljust(512, b"\0") + note)
        f.truncate(4096 + size)


# Files that things need, made when the first of them does: name, and how from the paths of
# all of them.  The peers get the files that they write themselves.
FILES = {
    "elf": lambda p: run(p["program"], "dump", "--quiet", "-E", "qmp:%s" % p["qmp"], p["elf"]),
    "zlib": lambda p: run(p["program"], "convert", "--quiet", "-c", "-d", "1", p["elf"],
                          p["zlib"]),
    "elf31": lambda p: run(p["program"], "convert", "--quiet", "-E", "-d", "31", p["elf"],
                           p["elf31"]),
    "flat": lambda p: run("sh", "-c", 'exec makedumpfile -F -l -d 1 "$0" >"$1"', p["elf"],
                          p["flat"]),
    "part1": lambda p: run("makedumpfile", "--split", "-l", "-d", "1", p["elf"], p["part1"],
                           p["part2"]),
    "part2": None,              # comes with the first
    "key": lambda p: p["key"].write_bytes(bytes(range(32))),
    "sealed": lambda p: (run(p["mkpv"], "plain", p["sealed"].with_suffix(".plain"), 1, 2,
                             "0:0x40000000"),
                         run(p["mkpv"], "seal", p["sealed"].with_suffix(".plain"), p["key"],
                             p["sealed"]),
                         p["sealed"].with_suffix(".plain").unlink()),
    **{"scale" + size: lambda p, size=size: filled_elf(p["scale" + size], SIZES[size], p["elf"])
       for size in SIZES},
    "sparse": lambda p: sparse_elf(p["sparse"], 1),
    "sparse_note": lambda p: sparse_elf(p["sparse_note"], 1, VMCOREINFO),
    "sparse16": lambda p: sparse_elf(p["sparse16"], 16),
    "sparse_kdump": lambda p: run(p["program"], "convert", "--quiet", "-c", "-d", "1",
                                  p["sparse_note"], p["sparse_kdump"]),
}
# what a file is made of
FROM = {"zlib": ("elf",), "elf31": ("elf",), "flat": ("elf",), "part1": ("elf",), "part2": ("part1",),
        **{"scale" + size: ("elf",) for size in SIZES}, "sealed": ("key",), "sparse_kdump": ("sparse_note",)}

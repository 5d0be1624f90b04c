#!/usr/bin/python3
# SPDX-License-Identifier: BSL-1.0
#
# Seeded bugs: does the suite find a mistake when there is one?
#
#	run.py [-j N] [NAME...]    each bug whose name holds one of NAME; all without
#	run.py --list              names, one a line
#	run.py --check             do all entries still apply; is README.md's table theirs
#	run.py --update            write that table
#	run.py --mutate NAME DIR   the mutated files into DIR; prints their names (for CMake)
#
# An entry of bugs/*.bugs is a change of one place of the library, and the one case of
# one test program that must fail with it. The unmutated program must pass that case
# first. Nothing in the source tree is changed: the library is built once, in
# build/seeded, as it is shipped; of each bug only the mutated file is compiled again
# (of a header: who includes it), and linked before the archive, whose own object of
# that name is then not asked for.
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "seeded"
KINDS = {"fails": "the test says so", "crash": "the test program crashes",
         "hang": "the test program does not end"}
BEGIN, END = "<!-- table: written by run.py --update -->\n", "<!-- end of table -->\n"


class Wrong(Exception):
    """An entry, or a build, that is not as it must be."""


@dataclasses.dataclass
class Bug:
    name: str
    topic: str
    file: str = ""
    origin: str = ""
    harm: str = ""
    program: str = ""  # a target of tests/CMakeLists.txt: crash-tx
    case: str = ""
    how: str = "fails"
    limit: float = 20  # seconds of one run
    tries: int = 1  # runs, where chance decides
    steps: str = "sampled"  # "all": crash cases without -q
    way: str = ""  # which of the ways of tests/proc/proc.h; all if empty
    hunks: list = dataclasses.field(default_factory=list)  # (find, replacement)

    @property
    def key(self):
        """Bugs of one key are caught by the same run."""
        return self.program, self.case, self.way, self.steps

    @property
    def where(self):
        return "%s/%s" % (self.program.replace("-", "/", 1), self.case)


# ---- entries ----

def parse(path):
    """The bugs of one file; see README.md for the format."""
    bugs, find, put = [], [], []

    def end_of_hunk():
        if find:
            bugs[-1].hunks.append(("\n".join(find) + "\n", "".join(l + "\n" for l in put)))
        find.clear()
        put.clear()

    for number, line in enumerate(path.read_text().split("\n"), 1):
        if line[:1] in ("-", "+", "|") and bugs:
            if line[0] != "+":
                find.append(line[1:])
            if line[0] != "-":
                put.append(line[1:])
            continue
        end_of_hunk()
        if not line or line[0] == "#" or line == "@":
            continue
        key, _, value = line.partition(" ")
        value = value.strip()
        if key == "bug":
            bugs.append(Bug(value, path.stem))
        elif key == "caught":
            bugs[-1].program, _, bugs[-1].case = value.partition(": ")
        elif key in ("file", "origin", "harm", "how", "way", "steps"):
            setattr(bugs[-1], key, value)
        elif key in ("limit", "tries"):
            setattr(bugs[-1], key, int(value))
        else:
            raise Wrong("%s:%d: what is '%s'?" % (path.name, number, key))
    end_of_hunk()
    return bugs


def all_bugs():
    bugs = [bug for path in sorted((HERE / "bugs").glob("*.bugs")) for bug in parse(path)]
    names = [bug.name for bug in bugs]
    for bug in bugs:
        for key in ("file", "origin", "harm", "program", "case"):
            if not getattr(bug, key):
                raise Wrong("%s: no %s" % (bug.name, key))
        if names.count(bug.name) > 1 or bug.how not in KINDS or not bug.hunks:
            raise Wrong("%s: twice, or no change, or '%s' is no way to fail"
                        % (bug.name, bug.how))
    return bugs


def mutated(bug):
    """The file's text with the bug in it."""
    text = (ROOT / bug.file).read_text()
    for find, put in bug.hunks:
        count = ("\n" + text).count("\n" + find)
        if count != 1:
            raise Wrong("no longer applies: what it changes is %d times in %s"
                        % (count, bug.file))
        text = ("\n" + text).replace("\n" + find, "\n" + put)[1:]
    return text


def write_mutated(bug, folder):
    path = pathlib.Path(folder) / bug.file
    path.parent.mkdir(parents=True, exist_ok=True)
    text = mutated(bug)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


# ---- the table ----

def table(bugs):
    lines = ["%d bugs.\n\n" % len(bugs)]
    for topic in sorted({bug.topic for bug in bugs}):
        lines.append("### %s\n\n| bug | from | what users would see | caught by |\n"
                     "| --- | --- | --- | --- |\n" % topic)
        for bug in bugs:
            if bug.topic == topic:
                lines.append("| `%s` | %s | %s | %s%s |\n" % (
                    bug.name, bug.origin, bug.harm, bug.where.replace("|", "\\|"),
                    "" if bug.tries == 1 else ", by chance"))
        lines.append("\n")
    return "".join(lines)


def readme_with(bugs):
    text = (HERE / "README.md").read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + BEGIN + "\n" + table(bugs) + END + tail


def check(bugs):
    failed = 0
    for bug in bugs:
        try:
            if mutated(bug) == (ROOT / bug.file).read_text():
                raise Wrong("changes nothing")
        except (Wrong, OSError) as e:
            print("FAILED seeded/%s: %s" % (bug.name, e))
            failed = 1
    if (HERE / "README.md").read_text() != readme_with(bugs):
        print("FAILED seeded: the table in tests/seeded/README.md is not that of the "
              "entries: tests/seeded/run.py --update")
        failed = 1
    return failed


# ---- building ----

def quiet(command, cwd=None):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise Wrong("%s ...:\n%s" % (" ".join(map(str, command[:3])),
                                     "\n".join(done.stdout.split("\n")[-30:])))


class Build:
    """The unmutated library and test programs, and how they were compiled."""

    def __init__(self, programs, jobs):
        if not (BUILD / "CMakeCache.txt").exists():
            ninja = ["-G", "Ninja"] if subprocess.run(
                ["ninja", "--version"], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, check=False).returncode == 0 else []
            quiet(["cmake", "--preset", "release", *ninja, "-B", str(BUILD)], ROOT)
        quiet(["cmake", "--build", str(BUILD), "--parallel", str(jobs), "--target",
               "stoa_static", "stoa_explore_static", "stoa_harness", "stoa_only",
               *programs], ROOT)
        self.compile = {}  # source -> (words of its command, folder)
        for entry in json.loads((BUILD / "compile_commands.json").read_text()):
            source = os.path.relpath(entry["file"], ROOT)
            words = shlex.split(entry["command"])
            out = words[words.index("-o") + 1]
            # some test programs compile the library once more, their own way
            if not source.startswith("src/") or "stoa_objects.dir" in out:
                self.compile[source] = (words, entry["directory"])
        self.includes = {source: set(re.findall(r'^#include "([^"]+)"',
                                                (ROOT / source).read_text(), re.M))
                         for source in self.sources()}

    @staticmethod
    def sources():
        return [str(p.relative_to(ROOT)) for p in (ROOT / "src").glob("*/*.[ch]")]

    def users_of(self, header):
        """The sources of the library that include a header, however indirectly."""
        found, new = set(), {header}
        while new:
            new = {source for source, names in self.includes.items()
                   if any("src/" + name in new for name in names)} - found
            found |= new
        return sorted(source for source in found if source.endswith(".c"))

    def object_of(self, source):
        words, folder = self.compile[source]
        return str(pathlib.Path(folder) / words[words.index("-o") + 1])

    def compiled(self, source, path, include, out):
        words, folder = self.compile[source]
        words = list(words)
        words[words.index("-o") + 1] = str(out)
        words[words.index("-c") + 1] = str(path)
        words[1:1] = ["-I" + str(include)]
        quiet(words + ["-w"], folder)
        return str(out)

    def linked(self, program, objects, out):
        suite, _, stem = program.partition("-")
        source = "tests/%s/%s.c" % (suite, stem)
        quiet([self.compile[source][0][0], "-o", str(out), self.object_of(source),
               self.object_of("tests/seeded/only.c"), *objects,
               str(BUILD / "tests/libstoa_harness.a"),
               str(BUILD / "explore/libstoa-explore.a"), str(BUILD / "src/libstoa.a"),
               "-lcmocka", "-pthread"])
        return str(out)

    def program_with(self, bug):
        folder = BUILD / "bugs" / bug.name
        path = write_mutated(bug, folder)
        sources = [bug.file] if bug.file.endswith(".c") else self.users_of(bug.file)
        objects = [self.compiled(source, path if source == bug.file else ROOT / source,
                                 folder / "src", folder / (source.replace("/", "-") + ".o"))
                   for source in sources]
        return self.linked(bug.program, objects, folder / bug.program)


# ---- running ----

def run(program, bug, limit):
    """(how it ended: ok, fails, crash, hang or none; what it printed)."""
    env = dict(os.environ, STOA_ONLY=bug.case, STOA_WAY=bug.way)
    arguments = ["-j1", bug.case] + ["-q"] * (bug.steps != "all") if bug.program.startswith("crash-") else []
    with tempfile.TemporaryFile("w+", errors="replace") as out, \
            tempfile.TemporaryDirectory(prefix="stoa-test-", dir="/dev/shm") as folder:
        env["STOA_FOLDERS"] = folder
        child = subprocess.Popen([program, *arguments], env=env, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = child.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(child.pid, signal.SIGKILL)  # what it may have left
        except ProcessLookupError:
            pass
        child.wait()
        out.seek(0)
        text = out.read()
    if status is None:
        return "hang", text
    if status < 0 or "Test failed with exception" in text \
            or "the process that explored it ended" in text:
        return "crash", text
    if bug.program.startswith("crash-"):
        ran = "\n" + bug.case[:34] in text and "not explored:" not in text
    else:
        ran = re.search(r"\[\s*(OK|FAILED|ERROR)\s*\] %s\b" % re.escape(bug.case), text)
    if not ran:
        begun = "[ RUN      ] %s" % bug.case in text
        return ("crash" if begun and status else "none"), text
    return ("fails" if status else "ok"), text


def tail(text):
    return "".join("\t%s\n" % line for line in text.rstrip().split("\n")[-12:])


def baseline(bug):
    """The unmutated program passes that case, or why a catch would prove nothing."""
    ended, text = run(str(BUILD / "bugs" / (bug.program + ".right")), bug, 3 * bug.limit)
    if ended != "ok":
        return "%s fails without the bug, too (%s)\n%s" % (bug.where, ended, tail(text))
    return None


def one(build, bug):
    """The result line of a bug, and whether it was caught."""
    began, met = time.monotonic(), set()
    try:
        program = build.program_with(bug)
    except Wrong as e:
        return False, "FAILED seeded/%s: %s" % (bug.name, e)
    text = ""
    for attempt in range(bug.tries):
        ended, text = run(program, bug, bug.limit)
        if ended == bug.how:
            return True, "ok seeded/%s: caught by %s (%.1f s%s)" % (
                bug.name, bug.where, time.monotonic() - began,
                "" if bug.tries == 1 else ", try %d" % (attempt + 1))
        met.add(ended)
    return False, "FAILED seeded/%s: not caught by %s: %s instead of %s, %d %s (%.1f s)\n%s" % (
        bug.name, bug.where, ", ".join(sorted(met)), bug.how, bug.tries,
        "tries" if bug.tries > 1 else "try", time.monotonic() - began, tail(text))


def run_all(bugs, jobs):
    failed = check(all_bugs())
    try:
        build = Build(sorted({bug.program for bug in bugs}), jobs)
    except Wrong as e:
        print("FAILED seeded: the build: %s" % e)
        return 1
    (BUILD / "bugs").mkdir(exist_ok=True)
    for program in sorted({bug.program for bug in bugs}):
        build.linked(program, [], BUILD / "bugs" / (program + ".right"))
    cases = {bug.key: bug for bug in bugs}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        right = dict(zip(cases, pool.map(baseline, cases.values())))
        good = [bug for bug in bugs if not right[bug.key]]
        for bug in bugs:
            why = right[bug.key]
            if why:
                failed = 1
                print("FAILED seeded/%s: not caught: %s" % (bug.name, why), flush=True)
        for caught, line in pool.map(lambda bug: one(build, bug), good):
            failed |= not caught
            print(line, flush=True)
    return failed


def main():
    parser = argparse.ArgumentParser(description="Seeded bugs; see README.md.")
    parser.add_argument("-j", type=int, default=(os.cpu_count() or 1) + 1,
                        help="at a time; most wait more than they compute")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--mutate", nargs=2, metavar=("NAME", "DIR"))
    parser.add_argument("name", nargs="*", help="part of a bug's name")
    args = parser.parse_args()
    bugs = all_bugs()
    if args.list:
        print("\n".join(bug.name for bug in bugs))
        return 0
    if args.update:
        (HERE / "README.md").write_text(readme_with(bugs))
        return check(bugs)
    if args.check:
        return check(bugs)
    if args.mutate:
        wanted = [bug for bug in bugs if bug.name == args.mutate[0]]
        if not wanted:
            raise Wrong("no seeded bug '%s'" % args.mutate[0])
        write_mutated(wanted[0], args.mutate[1])
        print(wanted[0].file)
        return 0
    names = {bug.name for bug in bugs}
    wanted = [bug for bug in bugs if not args.name or bug.name in args.name
              or any(part in bug.name for part in args.name if part not in names)]
    if not wanted:
        raise Wrong("no seeded bug of that name")
    return run_all(wanted, args.j)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Wrong as e:
        print("FAILED seeded: %s" % e)
        sys.exit(1)

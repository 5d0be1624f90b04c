# SPDX-License-Identifier: BSL-1.0
"""What gdb shows of the program scene.c, of its core, and of damaged memory."""
import os
import re
import shutil
import subprocess

from harness import BUILD, LIBRARY, SCENE, SCENE_CXX, SCENE_SHARED, Case, session

# The layout of the printers against that of the library's debugging information.
LAYOUT = """python
for table, name in ((HEADER, 'header'), (SLOT, 'slot'), (LANE, 'lane')):
    kind = gdb.lookup_type('struct stoai_' + name)
    for field in table:
        f = kind[field]
        mine = (table[field][0], struct.calcsize(table[field][1]))
        theirs = (f.bitpos // 8, f.type.sizeof)
        print(name, field, 'same' if mine == theirs else (mine, theirs))
print('sizes', gdb.lookup_type('struct stoai_header').sizeof == HEADER_SIZE,
    gdb.lookup_type('struct stoai_slot').sizeof == SLOT_SIZE)
"""
CONSTANTS = {
    "STOAI_LAYOUT_VERSION": "LAYOUT_VERSION", "STOAI_HELD_SHARED": "HELD_SHARED",
    "STOAI_TOKEN_FROM_END": "TOKEN_FROM_END",
    "STOAI_SEGMENT_DAMAGED": "SEGMENT_DAMAGED", "STOAI_SLOTS_MAX": "SLOTS_MAX",
}


class Layout(Case):
    def test_offsets(self):
        # each command of a session is one line
        found = self.at("all", ["python exec(%r)" % LAYOUT.split("\n", 1)[1]])[0]
        lines = found.splitlines()
        self.assertGreater(len(lines), 15)
        for line in lines[:-1]:
            self.assertTrue(line.endswith("same"), line)
        self.assertEqual(lines[-1], "sizes True True")

    def test_constants(self):
        found = self.at("all", [
            "python print(int(gdb.parse_and_eval('(int)%s')) == %s)" % both
            for both in CONSTANTS.items()])
        self.assertEqual(found, ["True"] * len(CONSTANTS))


class Values(Case):
    stop = "all"

    def test_references(self):
        got = self.values(self.stop, "p->null", "p->first",
                          "$stoa_get(p->first)->n", "*$stoa_get(p->null)",
                          "$stoa_get($stoa_get($stoa_get(p->first)->next)->next)->next",
                          "$stoa_get(p->brief)", "*$stoa_get(p->first)")
        self.assertEqual(got["p->null"], "null")
        self.assertRegex(got["p->first"], r"^\(node \*\) 0x[0-9a-f]+$")
        self.assertEqual(got["$stoa_get(p->first)->n"], "1")
        self.assertIn("Cannot access memory at address 0x0", got["*$stoa_get(p->null)"])
        self.assertEqual(list(got.values())[4], "null")  # the third and last node
        self.assertIn("wants a STOA_REF or a STOA_PTR", got["$stoa_get(p->brief)"])
        self.assertRegex(got["*$stoa_get(p->first)"],
                         r"^\{n = 1, next = \(node \*\) 0x[0-9a-f]+\}$")

    def test_self_relative(self):
        got = self.values(self.stop, "plain.null", "plain.tagged", "plain.number", "plain.near",
                          "*$stoa_get(plain.number)", "$stoa_get(plain.null) == 0",
                          "$stoa_get(plain.near) == &plain.n")
        self.assertEqual(got["plain.null"], "null")
        self.assertEqual(got["plain.tagged"], "null, tag 3")
        self.assertRegex(got["plain.number"], r"^\(uint64_t \*\) 0x[0-9a-f]+$")
        self.assertRegex(got["plain.near"], r"^\(void \*\) 0x[0-9a-f]+$")
        self.assertEqual(list(got.values())[4:], ["77", "1", "1"])

    def test_pointer_can_be_pasted(self):
        pointer = self.values(self.stop, "p->first")["p->first"]
        if self.stop == "all":  # where nothing moves from run to run
            self.assertEqual(self.values(self.stop, "(*%s).n" % pointer),
                             {"(*%s).n" % pointer: "1"})

    def test_strings(self):
        self.assertEqual(self.values(self.stop, "p->empty", "p->brief", "p->full"), {
            "p->empty": '""', "p->brief": r'"brief \"text\""',
            "p->full": '"0123456789012345678901"'})
        got = self.at(self.stop, ["output p->tall", "set print elements 6",
                                  "output p->tall", "output p->brief"])
        self.assertTrue(got[0].startswith('"a text that needs a block of its own, 2 '))
        self.assertEqual(got[2:], ['"a text"...', '"brief "...'])

    def test_vectors(self):
        self.assertEqual(
            self.values(self.stop, "p->no", "p->some", "p->p", "p->l", "p->b"), {
                "p->no": "numbers of 0, room for 0",
                "p->some": "numbers of 5, room for 8 = {0, 11, 22, 33, 44}",
                "p->p": "pairs of 1, room for 8 = {{x = 1, y = 2}}",
                "p->l": 'lines of 2, room for 2 = {"first", '
                        '"second, which is longer than the first one"}',
                "p->b": "boxes of 2, room for 8 = "
                        "{{lock = free, n = 40}, {lock = free, n = 41}}"})

    def test_maps(self):
        got = self.values(self.stop, "p->c", "p->s", "p->e", "p->n", "p->r",
                          "p->s.core_")
        pairs = dict(re.findall(r"\[(\d+)\] = (\d+)", got["p->s"]))
        self.assertEqual(pairs, {str(i): str(i * i) for i in range(40)})
        self.assertTrue(got["p->s"].startswith("squares of 40 = {["))
        self.assertEqual(dict(re.findall(r'\["([^"]*)"\] = (\d+)', got["p->c"])), {
            "one": "1", "a key that is longer than twenty-two": "36"})
        self.assertEqual(got["p->e"], "seen of 1 = {{x = 5, y = 6}}")
        self.assertEqual(
            sorted(re.findall(r'\["(number \d)"\] = \{lock = free, n = (\d)\}',
                              got["p->n"])),
            [("number %d" % i, "%d" % i) for i in range(3)])
        self.assertEqual(got["p->r"], "rows of 1 = "
                         "{[true] = numbers of 1, room for 8 = {77}}")
        self.assertEqual(got["p->s.core_"], "stoa_hashmap of 40")

    def test_handle(self):
        got = self.values(self.stop, "handle", "*handle", "(stoa_segment *)0",
                          "(stoa_segment *)16")
        self.assertRegex(
            got["handle"], r"^\(stoa_segment \*\) 0x[0-9a-f]+: 'scene' at 0x[0-9a-f]+, "
                           r"heap of 1024 KiB up to 1024 KiB, 5 of 8 threads$")
        self.assertEqual(got["*handle"], got["handle"])
        self.assertEqual(got["(stoa_segment *)0"], "0x0")
        self.assertIn("<no segment in memory>", got["(stoa_segment *)16"])

    def test_switched_off(self):
        got = self.at(self.stop, [
            "info pretty-printer global stoa", "output/r p->first",
            "disable pretty-printer global stoa;str", "output p->empty",
            "output p->first"])
        for name in ("ref", "str", "owner", "mutex", "rwlock", "cond", "vec", "hashmap",
                     "segment"):
            self.assertIn(name, got[0].split())
        self.assertRegex(got[1], r"^\{ref = \{off = \d+\}, type_ = 0x[0-9a-f]+\}$")
        self.assertEqual(got[3], "{word_ = {0, 0, 0}}")
        self.assertTrue(got[4].startswith("(node *)"))


class Locks(Case):
    def test_dead_holder(self):
        got = self.values("dead", "p->free", "p->held", "p->written", "p->gone", "p->me")
        dead = "slot 1, generation 0 (dead, not yet recovered)"
        self.assertEqual(got["p->free"], "free")
        self.assertEqual(got["p->held"], "held by " + dead)
        self.assertEqual(got["p->written"], "held by " + dead)
        self.assertEqual(got["p->gone"], dead)
        self.assertRegex(got["p->me"],
                         r"^slot 0, generation 1 \(process \d+, thread \d+\)$")

    def test_holders_and_waiters(self):
        got = self.values("all", "p->free", "p->held", "p->wanted", "p->written",
                          "p->read", "p->changed", "p->quiet", "p->nobody",
                          "p->thread", "p->gone", "$_thread")
        thread = r"slot \d, generation \d \(process \d+, thread \d+\)"
        self.assertEqual(got["p->free"], "free")
        self.assertRegex(got["p->held"], "^held by %s, somebody sleeps$" % thread)
        self.assertEqual(got["p->wanted"], "free")
        self.assertRegex(got["p->written"], "^held by %s$" % thread)
        self.assertRegex(got["p->read"], "^read by %s$" % thread)
        self.assertRegex(got["p->changed"],
                         r"^somebody waits: %s, \d+ wake-ups and arrivals$" % thread)
        self.assertEqual(got["p->quiet"], "nobody waits, 0 wake-ups and arrivals")
        self.assertEqual(got["p->nobody"], "nobody")
        self.assertEqual(got["p->written"], "held by " + got["p->thread"])
        self.assertEqual(got["p->gone"],
                         "slot 1, generation 0 (gone: the slot is in generation 1)")

    def test_alone(self):
        """Copies, which lie in no segment, say what they can."""
        got = self.at("all", ["python v = gdb.parse_and_eval('*p'); v.fetch_lazy()",
                              "python print(v['held'].format_string())"])
        self.assertIn("held by slot", got[1])


def broken(field, value):
    return "set var ((page *)p)->%s = %s" % (field, value)


class Damage(Case):
    """Nothing that the memory says is believed."""

    def test_each_kind(self):
        for field, value, shown, why in (
                ("first.ref.off", "1", "first", "<damaged: offset 0x1 is not in"),
                ("first.ref.off", "~0ULL", "first", "<damaged: offset 0xf"),
                ("brief.word_[2]", "23ULL << 56", "brief", "<damaged: a tag of 0x17>"),
                ("tall.word_[0]", "~0ULL", "tall", "<damaged: offset"),
                ("tall.word_[1]", "~0ULL", "tall", "<damaged: 18446744073709551615 "),
                ("tall.word_[1]", "3", "tall", "<damaged: no NUL"),
                ("some.core_.count_", "99", "some", "<damaged: 99 elements in room for 8>"),
                ("some.core_.data_", "~0ULL", "some", "<damaged: offset"),
                ("some.core_.size_", "7", "some", "<damaged: elements of 7 bytes"),
                ("s.core_.table_", "1ULL << 63", "s", "<damaged: "),
                ("s.core_.table_", "40ULL << 56 | 4096", "s", "<damaged: "),
                ("s.core_.slot_size_", "~0", "s", "<damaged: offset"),
                ("s.core_.slot_size_", "1", "s", "<damaged: slots of 1 bytes"),
                ("s.core_.count_", "~0ULL", "s", "<damaged: "),
                ("nobody.generation_", "3", "nobody", "<damaged: a generation"),
                ("nobody.slot_", "200", "nobody", "<damaged: there are 9 slots>"),
                ("free.word_", "512", "free", "<damaged: a word without a slot"),
                ("free.word_", "511", "free", "<damaged: there are 9 slots>")):
            with self.subTest(field=field, value=value):
                got = self.at("all", [broken(field, value), "output p->" + shown])[1]
                self.assertIn(why, got)

    def test_boxes(self):
        got = self.at("all", [
            "python b = gdb.parse_and_eval('p->b.core_'); "
            "s = segments.of(int(gdb.parse_and_eval('p'))); "
            "gdb.selected_inferior().write_memory(s.base + int(b['data_']) + 8, "
            "b'\\x01' * 8)", "output p->b"])[1]
        self.assertIn("{lock = free, n = 40}, <damaged: offset 0x1010101", got)

    def test_header(self):
        """A segment whose header is rubbish is none."""
        for off, size in ((0, 8), (8, 4), (76, 4), (80, 4), (96, 8), (104, 8), (128, 8),
                          (136, 8), (320, 8)):
            with self.subTest(off=off):
                self.at("all", [
                    "python b = segments.of(int(gdb.parse_and_eval('p'))).base",
                    "python gdb.selected_inferior().write_memory(b + %d, b'\\xff' * %d)"
                    % (off, size), "output *p", "output handle", "output p->held"])

    def test_random_bytes(self):
        """4000 times some bytes of the object or of its blocks are wrong."""
        code = (
            "import random\n"
            "r = random.Random(7)\n"
            "p = gdb.parse_and_eval('*p')\n"
            "a = int(p.address)\n"
            "base = segments.of(a).base\n"
            "i = gdb.selected_inferior()\n"
            "for n in range(4000):\n"
            "    at = a + r.randrange(p.type.sizeof) if n % 4 else "
            "base + r.randrange(0x28000)\n"
            "    size = r.choice((1, 1, 2, 8))\n"
            "    old = bytes(i.read_memory(at, size))\n"
            "    i.write_memory(at, bytes(r.choice((0, 1, 0x7f, 0xff, r.randrange(256)))"
            " for _ in range(size)))\n"
            "    f = r.choice(p.type.fields()).name\n"
            "    segments.forget()\n"
            "    text = gdb.parse_and_eval('p->' + f).format_string(max_elements=30)\n"
            "    i.write_memory(at, old)\n"
            "segments.forget()\n"
            "print('done', gdb.parse_and_eval('p->some'))\n")
        got = self.at("all", ["python exec(%r)" % code])[0]
        self.assertTrue(got.endswith(
            "done numbers of 5, room for 8 = {0, 11, 22, 33, 44}"), got[-2000:])


class Core(Case):
    """A core file has no shared mapping of a segment, unless somebody asked for it."""

    def core(self, *settings, stop="all"):
        core = os.path.join(self.folder, "core")
        self.at(stop, [*settings, "output p->first", "gcore " + core])
        return core

    def look(self, core, *commands):
        return session(SCENE, ["core-file " + core, *commands])[1:]

    def test_without_the_segment(self):
        core = self.core()
        got = self.look(core, "output handle", "output ref", "output *p",
                        "output $stoa_get(ref)", "info threads")
        self.assertIn("<no segment in memory>", got[0])
        self.assertIn("<its segment is not in memory>", got[1])
        self.assertIn("Cannot access memory", got[2])
        self.assertIn("its segment is not in memory", got[3])

    def test_with_it(self):
        core = self.core("set use-coredump-filter off", "set dump-excluded-mappings on")
        got = self.look(core, "output p->some", "output p->held", "output p->tall",
                        "output p->read", "output *$stoa_get(ref)")
        self.assertEqual(got[0], "numbers of 5, room for 8 = {0, 11, 22, 33, 44}")
        self.assertIn("held by slot", got[1])
        self.assertTrue(got[2].startswith('"a text that needs'))
        self.assertIn("read by slot", got[3])
        self.assertTrue(got[4].startswith("{n = 1, next = (node *)"))

    def test_of_a_buffer(self):
        """Private memory is in every core."""
        core = self.core(stop="buffer")
        got = self.look(core, "output p->some", "output handle")
        self.assertEqual(got[0], "numbers of 5, room for 8 = {0, 11, 22, 33, 44}")
        self.assertIn("'(unnamed)' at 0x", got[1])


class Others(Values):
    """The same values in a buffer's segment, and by a library that says nothing."""
    stop = "buffer"

    def test_handle(self):
        got = self.values(self.stop, "handle")["handle"]
        self.assertRegex(got, r"^\(stoa_segment \*\) 0x[0-9a-f]+: '\(unnamed\)' at 0x"
                              r"[0-9a-f]+, heap of \d+ KiB up to \d+ KiB, 1 of 4 threads$")

    def test_stripped_shared_library(self):
        folder = os.path.join(self.folder, "lib")
        os.mkdir(folder)
        copy = os.path.join(folder, "libstoa.so.0")
        shutil.copy(LIBRARY, copy)
        subprocess.run(["strip", copy], check=True)
        self.program, self.environment = SCENE_SHARED, {"LD_LIBRARY_PATH": folder}
        got = self.at("all", ["info sharedlibrary", "output handle", "output p->l",
                              "output p->r", "output p->held", "output p->read",
                              "output p->first"])
        self.assertIn(copy, got[0])
        self.assertRegex(got[1], r"^\(stoa_segment \*\) 0x[0-9a-f]+: at 0x[0-9a-f]+, "
                                 r"heap of 1024 KiB up to 1024 KiB, 5 of 8 threads$")
        self.assertIn('{"first", "second, which', got[2])
        self.assertIn("{[true] = numbers of 1, room for 8 = {77}}", got[3])
        self.assertIn("held by slot", got[4])
        self.assertIn("read by slot", got[5])
        self.assertTrue(got[6].startswith("(node *) 0x"))


class Cxx(Case):
    program = SCENE_CXX

    def test_values(self):
        got = self.values("all", "*p", "$stoa_get(p->first)->n", "handle")
        self.assertRegex(got["*p"], (
            r"^\{lock = free, owner = nobody, l = lines of 1, room for \d+ = \{\"one\"\}, "
            r"f = flags of 1 = \{\[true\] = 3\}, first = \(node \*\) 0x[0-9a-f]+\}$"))
        self.assertEqual(got["$stoa_get(p->first)->n"], "4")
        self.assertIn("1 of 255 threads", got["handle"])


class Installed(Case):
    """gdb finds the printers when the program has loaded the installed library."""

    def test_found_by_itself(self):
        prefix = os.path.realpath(self.folder)
        subprocess.run(["cmake", "--install", BUILD, "--component", "gdb", "--prefix",
                        prefix], check=True, stdout=subprocess.DEVNULL)
        scripts = os.path.join(prefix, "share", "gdb", "auto-load")
        found = [os.path.join(where, name) for where, _, names in os.walk(scripts)
                 for name in names]
        self.assertEqual(len(found), 1, found)
        library = found[0][len(scripts):-len("-gdb.py")]
        self.assertTrue(library.startswith(prefix + "/lib"), library)
        os.makedirs(os.path.dirname(library))
        shutil.copy(LIBRARY, library)
        link = os.path.join(os.path.dirname(library), "libstoa.so.0")
        os.symlink(os.path.basename(library), link)
        self.program = SCENE_SHARED
        self.environment = {"LD_LIBRARY_PATH": os.path.dirname(library)}
        got = self.at("all", ["output p->some", "output ref"], printers=None, options=[
            "-iex", "set auto-load scripts-directory " + scripts,
            "-iex", "set auto-load safe-path " + prefix])
        self.assertEqual(got[0], "numbers of 5, room for 8 = {0, 11, 22, 33, 44}")
        self.assertTrue(got[1].startswith("(node *)"))

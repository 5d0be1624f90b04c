# SPDX-License-Identifier: BSL-1.0
"""Reading commands, on segments in every state; none of them changes a byte."""
import json
import os
import pwd
import random
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import xml.etree.ElementTree

from harness import Case, READING, STOA

OWNER = pwd.getpwuid(os.geteuid()).pw_name


def all_of(name, status=0, check=None):
    """Every reading command on a segment, and the status that each is to have."""
    check = status if check is None else check
    return (((("ls",), 0), (("ls", name), 0), (("info", name), status),
             (("info", "-l", name), status), (("check", name), check),
             (("dump", name), status), (("dump", "--list", name), status),
             (("heap", name), check),
             (("locks", name), status), (("locks", "--tree", name), status)))


class Idle(Case):
    def setUp(self):
        super().setUp()
        self.play("make")

    def test_nothing_is_changed(self):
        self.assert_unchanged_by(self.path(), *all_of("bank"))

    def test_text(self):
        for words in (("ls",), ("info", "-l", "bank"), ("dump", "bank"),
                      ("dump", "bank", "accounts/second"),
                      ("dump", "--list", "bank"), ("check", "bank")):
            text = self.stoa(*words).out
            name = "-".join(w.strip("-").replace("/", "-") for w in words)
            # how the heap is arranged is no business of these tests
            numbers = words[0] in ("ls", "info") or "--list" in words
            self.expect(name, text, numbers, owner=OWNER)

    def test_kinds(self):
        self.play("kinds")
        unique, *_, three = self.json("dump", "bank")["objects"]
        self.assertEqual((unique["name"], unique["kind"], unique["count"],
                          unique["value"]["amount"]), ("entry", "unique", 1, 7))
        self.assertEqual((three["name"], three["type"], three["count"]),
                         ("three", "entry", 3))
        self.assertEqual([v["amount"] for v in three["value"]], [0, 1, 2])
        entry, = self.json("dump", "bank", "entry")["objects"]
        self.assertEqual(entry, unique)
        rows = self.json("dump", "--list", "bank")["objects"]
        self.assertEqual([(r["name"], r["kind"], r["count"]) for r in rows][-1],
                         ("three", "named", 3))
        self.assertTrue(self.json("check", "bank")["sound"])

    def test_foreign_index(self):
        self.play("foreign")
        self.assertIn("by an index of its program, 'of the actor'",
                      self.stoa("dump", "foreign", status=8).err)

    def test_json(self):
        ls, = self.json("ls")["segments"]
        self.assertEqual((ls["name"], ls["state"], ls["threads"], ls["objects"],
                          ls["mode"], ls["uid"]),
                         ("bank", "idle", 0, 2, "0600", os.geteuid()))
        info = self.json("info", "bank")
        self.assertEqual(info["statistics"]["objects"], 2)
        self.assertEqual(info["slots"], [])
        self.assertEqual(
            sum(c["used"] for c in info["heap"]), info["statistics"]["blocks"])
        first, second = self.json("dump", "bank")["objects"]
        self.assertEqual((first["name"], first["type"], first["size"]),
                         ("accounts/first", "account", 312))
        value = first["value"]
        self.assertEqual(value["id"], 2**64 - 1)
        self.assertEqual(value["note"], 'a "note",\n with {brackets}')
        self.assertEqual(value["history"],
                         [{"amount": -3, "rate": 0.5}, {"amount": -2, "rate": 1e300}])
        self.assertEqual(value["limit"], {"day": 100})
        self.assertEqual(value["next"]["name"], "next")
        self.assertEqual(second["value"]["balance"], 0)
        check = self.json("check", "bank")
        self.assertTrue(check["sound"])
        self.assertEqual(check["findings"], [])
        self.assertEqual(self.json("locks", "bank")["locks"], [])

    def test_long_name(self):
        """Too long for a file: the segment knows its whole name."""
        name = "long" * 100 + "\u00e4"
        self.play("make", name)
        file, = set(os.listdir(self.path(""))) - {"bank"}
        self.assertLess(len(file), 200)
        for given in (name, file):
            self.assertEqual(self.json("info", given)["segment"], name)
            self.assertEqual(self.json("info", given)["path"], self.path(file))
            self.assertIn(name, self.stoa("info", given).out)
            self.assertIn(name, self.stoa("ls", given).out)
        self.assertEqual({s["name"] for s in self.json("ls")["segments"]},
                         {"bank", name})
        listed = self.stoa("ls").out
        self.assertIn(name, listed)
        self.assertNotIn(file, listed)
        for words, status in all_of(name):
            self.stoa(*words, status=status)
        self.actor("hold-segment", name).kill()
        self.stoa("recover", name, status=1)
        # what is told of a damaged one is what its file tells
        with open(self.path(file), "r+b") as damaged:
            damaged.seek(100)
            damaged.write(b"\xff\xff")
        self.assertIn(file, self.stoa("ls").out)
        self.stoa("rm", name)
        self.assertEqual(os.listdir(self.path("")), ["bank"])

    def test_copied_file(self):
        """It says the name of the first one, which is not what it is called."""
        shutil.copy(self.path(), self.path("copy"))
        self.assertEqual([s["name"] for s in self.json("ls")["segments"]],
                         ["bank", "copy"])
        self.assertEqual(self.json("info", "copy")["segment"], "copy")

    def test_domains(self):
        self.assertEqual(self.json("ls", "--domain", "other")["segments"], [])
        self.environment["STOA_DOMAIN"] = os.environ["STOA_DOMAIN"] = "other"
        self.play("make", "second")
        self.assertEqual([s["name"] for s in self.json("ls")["segments"]], ["second"])
        del self.environment["STOA_DOMAIN"], os.environ["STOA_DOMAIN"]
        self.assertEqual([s["name"] for s in self.json("ls")["segments"]], ["bank"])
        self.assertEqual(
            [(s["domain"], s["name"]) for s in self.json("ls", "--all")["segments"]],
            [("default", "bank"), ("other", "second")])
        self.assertEqual(self.json("info", "-D", "other", "second")["segment"], "second")
        empty = os.path.join(self.folder, "nothing")
        self.assertEqual(self.stoa("ls", "--directory", empty).out, "")

    def test_file(self):
        path = os.path.join(self.folder, "a.stoa")
        self.play("make", path, "file")
        self.assert_unchanged_by(path, *(
            ((*words, "--file"), status)
            for words, status in all_of(path) if words != ("ls",)))
        self.assertEqual(
            self.json("dump", "--file", path, "accounts/first")["objects"][0]["value"]["id"],
            2**64 - 1)

    def test_missing(self):
        for command in ("info", "check", "dump", "locks", "recover", "rm", "ls"):
            result = self.stoa(command, "nobody", status=8)
            self.assertIn("nobody", result.err)
        result = self.stoa("dump", "bank", "accounts/third", status=8)
        self.assertIn("accounts/third", result.err)

    def test_leak(self):
        self.play("leak")
        result = self.stoa("check", "bank", status=4)
        self.assertIn("1 of", result.out)
        finding, = self.json("check", "bank", status=4)["findings"]
        self.assertEqual(finding["kind"], "leak")

    def test_heap(self):
        """Every byte is in one sum, in one row of each table, and in the picture."""
        heap = self.json("heap", "bank")
        stat = heap["statistics"]
        self.assertEqual(stat["size"], sum(
            stat[k] for k in ("used", "transient", "room", "free", "lost")))
        self.assertEqual(stat["size"], sum(c["bytes"] for c in heap["classes"]))
        self.assertEqual(stat["size"], sum(s["bytes"] for s in heap["spans"]))
        self.assertEqual(stat["used"], sum(t["bytes"] for t in heap["types"]))
        self.assertEqual(stat["used"], sum(s["used"] for s in heap["slots"]))
        self.assertIn("account", [t["type"] for t in heap["types"]])
        self.assertEqual((heap["leaked"], heap["leaks"], stat["refused"]), (0, [], 0))
        text = self.stoa("heap", "bank", LC_ALL="C").out
        cells = text.splitlines()[1].split("MiB  ")[1]
        self.assertEqual(cells, "".join(
            {"slab": "1", "free": "."}[s["kind"]] * s["count"]
            for s in heap["spans"])[:len(cells)])
        self.assertIn("▁", self.stoa("heap", "bank", LC_ALL="C.UTF-8").out)

    def test_heap_drawn(self):
        svg = xml.etree.ElementTree.fromstring(
            self.stoa("heap", "--svg", "bank").out)
        cells = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}title")]
        spans = self.json("heap", "bank")["spans"]
        self.assertEqual(len(cells), sum(s["count"] for s in spans))
        for span in spans:
            if span["kind"] == "slab":
                self.assertIn(f"blocks of {span['size']} bytes: {span['used']} of",
                              cells[span["first"]])

    def test_heap_leaked(self):
        self.play("leak")
        heap = self.json("heap", "bank")
        self.assertEqual((heap["leaked"], len(heap["leaks"])), (1, 1))
        self.assertIn("(leaked)", [t["type"] for t in heap["types"]])
        self.assertIn("LEAKED AT", self.stoa("heap", "bank").out)

    def test_colours_are_for_terminals(self):
        self.play("flag-damaged")

        def on_terminal(**environment):
            done = subprocess.run(
                ["script", "-qec", f"{STOA} ls", "/dev/null"], check=True,
                capture_output=True, stdin=subprocess.DEVNULL,
                env=dict(self.environment, TERM="xterm", **environment))
            return b"\33[" in done.stdout

        self.assertNotIn("\33", self.stoa("ls").out)
        self.assertTrue(on_terminal())
        self.assertFalse(on_terminal(NO_COLOR="1"))


class Live(Case):
    def setUp(self):
        super().setUp()
        self.play("make")

    def test_holders_and_waiters(self):
        """One holds, one reads, two wait: as a table, as a tree, as JSON."""
        top = self.actor("hold-segment")
        middle = self.actor("hold-guard-wait-segment")
        bottom = self.actor("wait-guard")
        self.wait_for_waiters(2)
        self.expect("locks-table", self.stoa("locks", "bank").out,
                    top=top.pid, middle=middle.pid, bottom=bottom.pid)
        self.expect("locks-tree", self.stoa("locks", "--tree", "bank").out,
                    top=top.pid, middle=middle.pid, bottom=bottom.pid)
        rows = self.json("locks", "bank")["locks"]
        self.assertEqual(
            [(r["lock"], r["role"], r["mode"], r["pid"]) for r in rows],
            [("segment", "holds", "exclusive", top.pid),
             ("segment", "waits", "exclusive", middle.pid),
             ("accounts/first.guard", "holds", "mutex", middle.pid),
             ("accounts/first.guard", "waits", "mutex", bottom.pid)])
        self.assertEqual(rows[1]["waits_for"], [rows[0]["slot"]])
        root, = self.json("locks", "bank")["tree"]
        self.assertEqual(root["pid"], top.pid)
        self.assertEqual(root["waiters"][0]["pid"], middle.pid)
        self.assertEqual(root["waiters"][0]["waiters"][0]["pid"], bottom.pid)
        top.end()
        middle.end()
        bottom.end()

    def test_permits_and_members(self):
        """Who has permits, who is a member, and who waits without a lock."""
        sitting = self.actor("sit-and-join")
        idle, standing = self.actor("wait-job"), self.actor("wait-seat")
        self.wait_for_waiters(2)
        rows = self.json("locks", "bank")["locks"]
        self.assertEqual(
            [(r["lock"], r["role"], r["mode"], r["pid"]) for r in rows],
            [("pool.seats", "holds", "permit", sitting.pid),
             ("pool.seats", "waits", "signal", standing.pid),
             ("pool.jobs", "waits", "signal", idle.pid),
             ("pool.round", "holds", "member", sitting.pid)])
        self.assertEqual([r["waits_for"] for r in rows[1:3]], [[], []])
        sitting.kill()
        standing.end()  # it has got the seat
        idle.kill()

    def test_contention(self):
        """Counted from when it is asked for, until it is not; holders say since when."""
        self.assertIn("--count", self.stoa("locks", "--contention", "bank").out)
        before = self.actor("hold-guard")
        self.stoa("locks", "--count", "bank")
        self.assertIn("nobody has waited", self.stoa("locks", "-C", "bank").out)
        row, = self.json("locks", "bank")["locks"]
        self.assertIsNone(row["held_ms"]) # taken before
        before.end()
        holder = self.actor("hold-guard")
        waiter = self.actor("wait-guard")
        self.wait_for_waiters(1)
        time.sleep(0.05)
        held, waits = self.json("locks", "bank")["locks"]
        self.assertGreaterEqual(held["held_ms"], 50)
        self.assertGreaterEqual(waits["waiting_ms"], 50)
        self.assertNotIn("held_ms", waits)
        self.expect("locks-held", self.stoa("locks", "bank").out,
                    holder=holder.pid, waiter=waiter.pid)
        self.assertEqual(self.json("locks", "bank")["contention"], [])
        holder.end()
        waiter.end()
        document = self.json("locks", "bank")
        self.assertTrue(document["counting"])
        row, = document["contention"]
        self.assertEqual((row["lock"], row["waits"]), ("accounts/first.guard", 1))
        self.assertGreaterEqual(row["waited_us"], 50000)
        self.assertEqual(row["longest_us"], row["waited_us"])
        self.assertLess(row["last_ms"], 10000)
        self.assert_unchanged_by(
            self.path(), (("locks", "--contention", "bank"), 0))
        out = self.stoa("locks", "--contention", "bank").out.split("\n")
        self.assertRegex(out[0], r"^LOCK +WAITS WAITED us LONGEST us +LAST$")
        self.assertRegex(out[1], r"^accounts/first.guard +1 +\d+ +\d+ +\S+$")
        self.stoa("locks", "--stop", "bank")
        document = self.json("locks", "bank")
        self.assertFalse(document["counting"])
        self.assertEqual(len(document["contention"]), 1) # still there
        self.assertTrue(self.json("check", "bank")["sound"])
        self.stoa("locks", "--count", "bank")
        self.assertEqual(self.json("locks", "bank")["contention"], [])
        self.stoa("locks", "--count", "--stop", "bank", status=16)
        self.stoa("locks", "--count", "nothing", status=8)

    def test_most_waited_first(self):
        self.stoa("locks", "--count", "bank")
        for scenes, pause in ((("read-first", "wait-first"), 0.03),
                              (("hold-guard", "wait-guard"), 0.15)):
            holder, waiter = (self.actor(scene) for scene in scenes)
            self.wait_for_waiters(1)
            time.sleep(pause)
            holder.end()
            waiter.end()
        self.assertEqual([r["lock"] for r in self.json("locks", "bank")["contention"]],
                         ["accounts/first.guard", "accounts/first.lock"])

    def test_reader_and_writer(self):
        reader = self.actor("read-first")
        writer = self.actor("wait-first")
        self.wait_for_waiters(1)
        rows = self.json("locks", "bank")["locks"]
        self.assertEqual(
            [(r["lock"], r["role"], r["mode"], r["pid"]) for r in rows],
            [("accounts/first.lock", "holds", "shared", reader.pid),
             ("accounts/first.lock", "waits", "exclusive", writer.pid)])
        self.assertEqual(rows[1]["waits_for"], [rows[0]["slot"]])
        reader.end()
        writer.end()

    def test_locks_in_structs_in_arrays(self):
        self.actor("hold-desk")
        row, = self.json("locks", "bank")["locks"]
        self.assertEqual((row["lock"], row["mode"]),
                         ("accounts/first.desk[1].key[1]", "mutex"))

    def test_heap_of_the_living(self):
        """Blocks that a thread caches are not used, and the sums agree."""
        self.actor("grow-and-stay")
        info = self.json("info", "bank")
        self.assertGreater(info["statistics"]["cached"], 0)
        self.assertEqual(
            sum(c["used"] for c in info["heap"]), info["statistics"]["blocks"])
        self.assertEqual(
            sum(c["transient"] * c["size"] for c in info["heap"] if c["kind"] == "slab"),
            info["statistics"]["cached"])
        for c in info["heap"]:
            self.assertEqual(c["blocks"], c["used"] + c["transient"] + c["free"])

    def test_condition(self):
        waiter = self.actor("wait-changed")
        self.wait_for_waiters(1)
        row, = self.json("locks", "bank")["locks"]
        self.assertEqual((row["lock"], row["mode"], row["pid"], row["state"]),
                         ("accounts/first.changed", "condition", waiter.pid, "waits"))

    def test_nothing_is_changed_under_a_stopped_writer(self):
        """What it has not committed is not shown, and nobody waits for it."""
        writer = self.actor("hold-segment")
        os.kill(writer.pid, signal.SIGSTOP)
        self.wait_until(
            lambda: self.json("info", "bank")["slots"][0]["state"] == "stopped")
        self.assert_unchanged_by(self.path(), *all_of("bank"))
        dump = self.json("dump", "bank", "accounts/first")
        self.assertEqual(dump["picture"], "recovered")
        self.assertEqual(dump["objects"][0]["value"]["balance"], -5)
        self.assertEqual(dump["objects"][0]["value"]["limit"], {"day": 100})
        os.kill(writer.pid, signal.SIGCONT)
        writer.end()
        value = self.json("dump", "bank", "accounts/first")["objects"][0]["value"]
        self.assertEqual((value["balance"], value["limit"]["night"]), (1000, 7))

    def test_while_others_work(self):
        worker = self.actor("work")
        seen = set()
        for _ in range(20):
            dump = self.json("dump", "bank")
            seen.add(dump["objects"][1]["value"]["balance"])
            self.assertTrue(self.json("check", "bank")["sound"])
            self.stoa("locks", "bank")
            self.assertEqual(self.json("ls")["segments"][0]["state"], "live")
        self.assertGreater(len(seen), 10)
        worker.end()

    def test_dead_and_living(self):
        """A dead thread that nobody needs to recover, beside a living one."""
        living = self.actor("attach")
        dead = self.actor("hold-first")
        dead.kill()
        self.assert_unchanged_by(self.path(), *all_of("bank"))
        ls, = self.json("ls")["segments"]
        self.assertEqual((ls["state"], ls["threads"], ls["dead"]), ("live", 1, 1))
        value = self.json("dump", "bank", "accounts/first")["objects"][0]["value"]
        self.assertEqual(value["balance"], -5)
        living.kill()

    def test_deadlock(self):
        circle = self.actor("circle")
        result = self.stoa("locks", "--tree", "bank", status=4)
        self.assertIn("2 threads wait for each other", result.err)
        self.assertEqual(result.out.count("deadlock"), 2)
        document = self.json("locks", "bank", status=4)
        states = {(r["role"], r["state"]) for r in document["locks"]}
        self.assertEqual(states, {("holds", "deadlock"), ("waits", "deadlock")})
        root, = document["tree"]
        self.assertEqual(root["waiters"][0]["waiters"], [])
        self.assertEqual(root["pid"], circle.pid)
        circle.kill()


    def test_stopped_and_busy(self):
        """One is stopped in the middle, one leaves no gap: an answer, or why not."""
        os.environ["STOA_ACTOR_WITHOUT_PAUSE"] = "1"
        worker = self.actor("work")
        for scene in ("hold-first", "hold-guard", "hold-segment"):
            writer = self.actor(scene)
            os.kill(writer.pid, signal.SIGSTOP)
            for words in (("dump", "bank"), ("check", "bank"), ("locks", "bank")):
                result = self.stoa(*words, status=(0, 8))
                if result.status:
                    self.assertRegex(result.err, "stoa locks says whose|--attach")
                self.assertNotIn("1000", result.out)
            self.assertEqual(self.json("ls")["segments"][0]["state"], "live")
            os.kill(writer.pid, signal.SIGCONT)
            writer.kill()
        worker.end()

    def test_what_a_mutex_guards(self):
        writer = self.actor("hold-guard")
        value = self.json("dump", "bank", "accounts/first")["objects"][0]["value"]
        self.assertEqual(value["balance"], -5)
        self.assertTrue(self.json("check", "bank")["sound"])
        writer.end()

    def test_without_tokens(self):
        os.environ["STOA_ACTOR_WITHOUT_TOKENS"] = "1"
        living, dead = self.actor("hold-guard"), self.actor("hold-segment")
        self.assertEqual([s["state"] for s in self.json("info", "bank")["slots"]],
                         ["alive", "alive"])
        dead.kill()
        self.assertEqual([s["state"] for s in self.json("info", "bank")["slots"]],
                         ["alive", "dead"])
        self.assert_unchanged_by(self.path(), *all_of("bank"))
        recovered = self.json("recover", "bank", status=1)
        self.assertEqual([t["pid"] for t in recovered["threads"]], [dead.pid])
        living.end()

    def test_another_pid_namespace(self):
        unshare = ("unshare", "--pid", "--fork", "--kill-child")
        if subprocess.run([*unshare, "true"], check=False,
                          capture_output=True).returncode:
            self.skipTest("this user cannot make PID namespaces")
        self.actor("hold-segment", prefix=unshare)
        slot, = self.json("info", "bank")["slots"]
        self.assertEqual((slot["state"], slot["command"], slot["other_pid_namespace"]),
                         ("alive", None, True))
        self.assert_unchanged_by(self.path(), *all_of("bank"))


class Killed(Case):
    """Processes change two accounts and are killed at random; we look meanwhile."""

    KILLS = 60

    def judge(self, value):
        self.assertEqual(
            value["balance"], sum(e["amount"] for e in value["history"]), value)
        if value["history"]:
            last = value["history"][-1]["amount"]
            self.assertEqual(value["note"], "odd" if last % 2 else "an even number")
            self.assertEqual(value["limit"]["three" if last % 3 else "none"], last)

    def test_what_is_shown_is_true(self):
        chance = random.Random(int(os.environ.get("STOA_SEED", "1")))
        workers = [self.actor("mix") for _ in range(2)]
        looks = {"recovered": 0, "live": 0, "busy": 0}
        for _ in range(self.KILLS):
            i = chance.randrange(len(workers))
            workers[i].kill()
            # sometimes nobody is there, or the dead wait for a while
            if chance.random() < 0.8:
                self.look(looks)
            workers[i] = self.actor("mix")
            self.look(looks)
            if chance.random() < 0.1:
                self.stoa("recover", "bank", status=(0, 1, 4))
        print(f"{self.KILLS} kills; looks: {looks}")
        self.assertGreater(looks["recovered"] + looks["live"], looks["busy"])
        for worker in workers:
            worker.kill()
        self.stoa("recover", "bank", status=(0, 1))
        self.assertTrue(self.json("check", "bank")["sound"])

    def test_writers_that_leave_no_gap(self):
        os.environ["STOA_ACTOR_WITHOUT_PAUSE"] = "1"
        self.actor("mix")
        self.actor("mix")
        for _ in range(10):
            result = self.stoa("dump", "bank", "accounts/second", "--json", status=(0, 8))
            if result.status:
                self.assertIn("--attach", result.err)
            else:
                self.judge(json.loads(result.out)["objects"][0]["value"])
            attached = self.json("dump", "--attach", "bank")
            self.assertEqual(attached["picture"], "attached")
            for o in attached["objects"]:
                self.judge(o["value"])
            self.assertTrue(self.json("check", "--attach", "bank")["sound"])

    def look(self, looks):
        """What is shown is true; on a busy machine there may be no moment to look."""
        dump = self.stoa("dump", "bank", "--json", status=(0, 8))
        check = self.stoa("check", "bank", status=(0, 8))
        for result in (dump, check):
            if result.status:
                self.assertIn("all the time", result.err)
                looks["busy"] += 1
        document = json.loads(dump.out)
        looks[document["picture"]] += 1
        for o in document["objects"]:
            self.judge(o["value"])
        if not check.status:
            self.assertIn("sound", check.out)
        for words in (("locks", "bank"), ("locks", "-t", "bank"), ("ls",)):
            self.stoa(*words)


class Restless(Case):
    """The segment never holds still, so it is read live, as far as that goes."""

    judge = Killed.judge

    def setUp(self):
        super().setUp()
        self.play("make")

    def restless(self, *words, status=0):
        return self.preloaded(*words, how="restless", status=status)

    def test_idle(self):
        for words, status in all_of("bank"):
            self.restless(*words, status=status)
        # a lane must have been used, or nothing is restless
        self.actor("attach")
        document = json.loads(self.restless("dump", "bank", "--json").out)
        self.assertEqual(document["picture"], "live")
        self.assertEqual(document["objects"][0]["value"]["balance"], -5)
        self.assertEqual(
            json.loads(self.restless("check", "bank", "--json").out)["picture"], "live")

    def test_what_is_not_committed_is_not_shown(self):
        for scene in ("hold-first", "hold-guard", "hold-segment"):
            writer = self.actor(scene)
            for state in ("alive", "dead"):
                result = self.restless("dump", "bank", "accounts/first", status=8)
                self.assertNotIn("balance", result.out)
                self.assertIn("stoa locks says whose", result.err)
                self.assertIn(scene.split("-")[1], self.restless("locks", "bank").out)
                if state == "alive":
                    writer.kill()
            self.stoa("recover", "bank", status=1)

    def look(self, times):
        seen = set()
        for _ in range(times):
            dump = self.restless("dump", "bank", "--json", status=(0, 8))
            for o in json.loads(dump.out)["objects"]:
                self.judge(o["value"])
                seen.add((o["name"], o["value"]["balance"]))
            check = self.restless("check", "bank", status=(0, 8))
            if not check.status:
                self.assertIn("sound", check.out)
        return len(seen)

    def test_writers(self):
        self.actor("mix")
        self.actor("mix")
        self.assertGreater(self.look(40), 30)

    def test_writers_that_leave_no_gap(self):
        """Then there may be no answer; but none that is wrong."""
        os.environ["STOA_ACTOR_WITHOUT_PAUSE"] = "1"
        self.actor("mix")
        self.look(25)


class Dead(Case):
    def setUp(self):
        super().setUp()
        self.play("make")
        self.actor("hold-segment").kill()

    def test_nothing_is_changed(self):
        self.assert_unchanged_by(self.path(), *all_of("bank"))

    def test_shown_as_recovery_would_leave_it(self):
        dump = self.json("dump", "bank", "accounts/first")
        self.assertEqual(dump["picture"], "recovered")
        self.assertEqual(dump["objects"][0]["value"]["balance"], -5)
        self.assertEqual(dump["objects"][0]["value"]["limit"], {"day": 100})
        check = self.json("check", "bank")
        self.assertEqual((check["sound"], check["dead"], check["picture"]),
                         (True, 1, "recovered"))
        self.assertIn("stoa recover", self.stoa("check", "bank").out)
        self.assertEqual(self.json("ls")["segments"][0]["state"], "dead")
        self.assertEqual(self.json("info", "bank")["slots"][0]["state"], "dead")
        row = self.json("locks", "bank")["locks"][0]
        self.assertEqual((row["lock"], row["state"]), ("segment", "dead"))


class Full(Case):
    def setUp(self):
        super().setUp()
        self.play("make")

    def test_living(self):
        self.actor("fill")
        slots = self.json("info", "bank")["slots"]
        self.assertGreaterEqual(len(slots), 6)
        self.assert_unchanged_by(self.path(), *all_of("bank"))

    def test_living_and_a_dead_writer(self):
        writer = self.actor("hold-segment")
        self.actor("fill")
        writer.kill()
        self.assert_unchanged_by(self.path(), *all_of("bank"))
        recovered = self.json("recover", "bank", status=1)
        self.assertEqual([t["result"] for t in recovered["threads"]], ["recovered"])
        self.assertTrue(self.json("check", "bank")["sound"])


class Damaged(Case):
    def setUp(self):
        super().setUp()
        self.play("make")

    def patch(self, at, data):
        with open(self.path(), "r+b") as file:
            file.seek(at)
            file.write(data)

    def test_header(self):
        self.patch(100, b"\xff\xff")
        self.assert_unchanged_by(self.path(), *all_of("bank", 4))
        self.assertEqual(self.json("ls")["segments"][0]["state"], "damaged")
        self.assertIn("damaged", self.stoa("info", "bank", status=4).err)
        self.stoa("recover", "bank", status=4)

    def test_truncated(self):
        os.truncate(self.path(), 3000)
        self.assert_unchanged_by(self.path(), *all_of("bank", 4))

    def test_foreign(self):
        with open(self.path("text"), "w", encoding="ascii") as file:
            file.write("hello" * 1000)
        os.mkdir(self.path("folder"))
        os.symlink("bank", self.path("link"))
        self.assertEqual(
            {s["name"]: s["state"] for s in self.json("ls")["segments"]},
            {"bank": "idle", "folder": "foreign", "link": "foreign",
             "text": "foreign"})
        self.assertIn("not a stoa segment", self.stoa("check", "text", status=8).err)

    def test_other_boot(self):
        self.play("other-boot")
        self.assertEqual(self.json("ls")["segments"][0]["state"], "stale")
        self.assertIn("machine stopped", self.stoa("info", "bank", status=4).err)

    def test_content(self):
        """Each word of the object's block in turn: an answer, and in time."""
        off = self.json("dump", "--list", "bank")["objects"][0]["offset"]
        with open(self.path(), "rb") as file:
            file.seek(off)
            good = file.read(304)
        damaged = 0
        for at in range(80, 240, 8):
            self.patch(off + at, struct.pack("<Q", 0xdeadbeefcafe))
            check = self.stoa("check", "bank", status=(0, 4))
            self.stoa("dump", "bank", status=(0, 4))
            if check.status:
                self.assertIn("damage", check.out)
                damaged += 1
            self.patch(off, good)
        self.assertGreater(damaged, 3)
        self.assertTrue(self.json("check", "bank")["sound"])


class Denied(Case):
    """As a user who is not root."""

    NOBODY = 65534

    def setUp(self):
        super().setUp()
        self.play("make")
        os.chmod(self.folder, 0o755)
        os.chmod(os.path.join(self.folder, "default"), 0o755)
        # where the tree lies, others may not look
        place = tempfile.mkdtemp(prefix="stoa-cli-")
        self.addCleanup(shutil.rmtree, place)
        os.chmod(place, 0o755)
        self.command = shutil.copy(STOA, place)
        self.prefix = () if os.geteuid() else (
            "setpriv", f"--reuid={self.NOBODY}", f"--regid={self.NOBODY}",
            "--clear-groups", "--")
        if os.geteuid():
            os.chmod(self.path(), 0)

    def test_denied(self):
        for command in READING + ("recover", "rm"):
            if command == "ls":
                continue
            result = self.stoa(command, "bank", status=8, prefix=self.prefix)
            self.assertIn("bank", result.err)
            self.assertIn("run it as the owner", result.err)
        ls, = self.json("ls", prefix=self.prefix)["segments"]
        self.assertEqual((ls["state"], ls["name"]), ("denied", "bank"))
        self.assertTrue(os.path.exists(self.path()))

    def test_reading_needs_no_more_than_that(self):
        """Root's segment, readable by all: nobody reads it, and cannot recover."""
        if os.geteuid():
            os.chmod(self.path(), 0o444)
        else:
            os.chmod(self.path(), 0o644)
        for words, status in all_of("bank"):
            self.stoa(*words, status=status, prefix=self.prefix)
        self.stoa("recover", "bank", status=8, prefix=self.prefix)

    def test_no_directory(self):
        os.chmod(os.path.join(self.folder, "default"), 0)
        if os.geteuid() == 0:
            self.stoa("ls", status=8, prefix=self.prefix)


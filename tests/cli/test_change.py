# SPDX-License-Identifier: BSL-1.0
"""recover and rm, and what they refuse."""
import os
import signal
import subprocess

from harness import Case


class Recover(Case):
    def setUp(self):
        super().setUp()
        self.play("make")

    def balance(self):
        return self.json("dump", "bank", "accounts/first")["objects"][0]["value"]["balance"]

    def test_nothing(self):
        self.assertIn("nothing to recover", self.stoa("recover", "bank").out)
        self.assertEqual(self.json("recover", "bank")["threads"], [])
        self.stoa("recover", "--force", "bank")

    def test_dead(self):
        dead = self.actor("hold-segment")
        dead.kill()
        before = self.content(self.path())
        plan = self.json("recover", "--dry-run", "bank", status=4)
        self.assertEqual([t["pid"] for t in plan["threads"]], [dead.pid])
        self.assertEqual(self.content(self.path()), before)
        result = self.stoa("recover", "bank", status=1)
        self.expect("recover", result.out, pid=dead.pid)
        self.assertEqual(self.json("ls")["segments"][0]["dead"], 0)
        self.stoa("recover", "bank")
        self.assertEqual(self.balance(), -5)

    def test_alive(self):
        living = self.actor("hold-segment")
        self.assertIn("nothing to recover", self.stoa("recover", "bank").out)
        living.end()
        self.assertEqual(self.balance(), 1000)

    def quarantined(self, scene):
        dead = self.actor(scene)
        dead.kill()
        result = self.stoa("recover", "bank", status=4)
        self.assertIn("--force", result.err)
        self.assertEqual(self.json("ls")["segments"][0]["state"], "quarantined")
        finding = self.json("check", "bank", status=4)["findings"][0]
        self.assertEqual(finding["kind"], "quarantine")
        self.assertIn("--force", finding["advice"])
        # nobody gets in
        work = subprocess.run([os.environ["STOA_ACTOR"], "make", "bank"], check=False,
                              capture_output=True, text=True)
        self.assertIn("quarantined", work.stderr)
        self.stoa("recover", "bank", status=1 | 4) # of the one that tried
        return dead

    def forced(self, result):
        """First what would be done, which changes nothing, then the same for real."""
        before = self.content(self.path())
        plan = self.json("recover", "--force", "--dry-run", "bank", status=4)
        self.assertEqual(self.content(self.path()), before)
        done = self.json("recover", "--force", "bank", status=1)
        self.assertEqual(plan["threads"], done["threads"])
        row, = done["threads"]
        self.assertEqual(row["result"], result)
        self.assertEqual(row.get("locks"), ["accounts/first.lock"]
                         if result == "given up" else None)
        self.assertTrue(self.json("check", "bank")["sound"])
        self.stoa("recover", "bank")
        return row

    def test_force_repairs_what_only_looked_broken(self):
        self.quarantined("three-deaths")
        self.forced("recovered")
        self.assertEqual(self.balance(), -5)
        self.play("make") # works again

    def test_force_gives_up_a_damaged_log(self):
        dead = self.quarantined("damage-log")
        before = self.stoa("recover", "-nF", "bank", status=4)
        self.expect("force", before.out, pid=dead.pid)
        row = self.forced("given up")
        self.assertGreater(row["log_bytes_lost"], 0)
        self.assertFalse(row["committed"])
        # half made: the change stays that could not be undone
        self.assertEqual(self.balance(), 1000)
        self.play("make")

    def test_force_drops_a_damaged_lock(self):
        self.actor("damage-held").kill()
        self.stoa("recover", "bank", status=4)
        done = self.json("recover", "--force", "bank", status=1)
        self.assertEqual([t["result"] for t in done["threads"]], ["given up"])
        self.assertTrue(self.json("check", "bank")["sound"])
        self.play("make")

    def test_force_on_the_flag_alone(self):
        self.play("flag-damaged")
        self.stoa("recover", "bank", status=4)
        self.assertEqual(self.json("check", "bank", status=4)["findings"][0]["kind"],
                         "quarantine")
        self.stoa("recover", "--force", "bank", status=1)
        self.assertTrue(self.json("check", "bank")["sound"])

    def test_force_changes_nothing_if_the_rest_is_damaged(self):
        off = self.json("dump", "--list", "bank")["objects"][0]["offset"]
        self.quarantined("damage-log")
        with open(self.path(), "r+b") as file: # the vector of the account
            file.seek(off + 128)
            file.write(b"\xff" * 16)
        before = self.content(self.path())
        result = self.stoa("recover", "--force", "bank", status=4)
        self.assertIn("nothing was changed", result.err)
        self.assertEqual(self.content(self.path()), before)

    def test_force_survives_a_recovery_that_kills(self):
        """Both ways end with a dead child: nothing is changed, and that is said."""
        self.quarantined("three-deaths")
        before = self.content(self.path())
        result = self.preloaded("recover", "--force", "bank", how="deadly", status=4)
        self.assertIn("nothing was changed", result.err)
        self.assertIn("signal 6", result.out)
        self.assertEqual(self.content(self.path()), before)
        self.forced("recovered")

    def test_force_killed_between_its_steps(self):
        """It can be run again, and ends the same."""
        self.quarantined("damage-log")
        saved = os.path.join(self.folder, "saved")
        subprocess.run(["cp", "--sparse=always", self.path(), saved], check=True)
        left, status = [], -signal.SIGKILL
        while status == -signal.SIGKILL:
            subprocess.run(["cp", "--sparse=always", saved, self.path()], check=True)
            status = self.preloaded("recover", "--force", "bank",
                                    how=f"killed {len(left) + 1}",
                                    status=(1, -signal.SIGKILL)).status
            again = self.json("recover", "--force", "bank", status=(0, 1))
            left.append([t["result"] for t in again["threads"]])
            self.assertTrue(self.json("check", "bank")["sound"], left)
            self.assertEqual(self.json("ls")["segments"][0]["state"], "idle")
            self.assertEqual(self.balance(), 1000)
            self.play("make")
        # some were killed before they had given up the slot, and some behind that
        self.assertEqual(left[0], ["given up"])
        self.assertEqual(left[-2], [])
        print(f"killed at {len(left) - 1} places: {left}")

    def test_force_while_others_are_attached(self):
        living = self.actor("wait-changed")
        self.quarantined("damage-log")
        self.json("recover", "--force", "bank", status=1)
        self.play("make")
        living.kill()


class Remove(Case):
    def setUp(self):
        super().setUp()
        self.play("make")

    def test_unused(self):
        self.play("make", "second")
        self.assertEqual(self.stoa("rm", "bank", "second").out, "")
        self.assertEqual(self.json("ls")["segments"], [])

    def test_used(self):
        user = self.actor("hold-segment")
        result = self.stoa("rm", "bank", status=8)
        self.assertIn("1 threads are attached", result.err)
        self.assertTrue(os.path.exists(self.path()))
        removed = self.json("rm", "--force", "bank")
        self.assertEqual(removed["segments"],
                         [{"name": "bank", "removed": True, "threads": 1}])
        self.assertFalse(os.path.exists(self.path()))
        user.end()

    def test_dead(self):
        self.actor("hold-segment").kill()
        self.stoa("rm", "bank")
        self.assertFalse(os.path.exists(self.path()))

    def test_one_of_several(self):
        self.play("make", "second")
        user = self.actor("hold-segment")
        self.stoa("rm", "bank", "nobody", "second", status=8)
        self.assertEqual([s["name"] for s in self.json("ls")["segments"]], ["bank"])
        user.end()

    def test_damaged(self):
        user = self.actor("hold-segment", "bank")
        with open(self.path(), "r+b") as file:
            file.seek(100)
            file.write(b"\xff\xff")
        self.stoa("rm", "bank", status=8) # still used
        user.kill()
        self.stoa("rm", "bank")
        self.assertFalse(os.path.exists(self.path()))

    def test_no_segment(self):
        text = self.path("text")
        with open(text, "w", encoding="ascii") as file:
            file.write("hello" * 1000)
        self.assertIn("not a stoa segment", self.stoa("rm", "text", status=8).err)
        self.stoa("rm", "--file", "--force", text, status=8)
        self.assertTrue(os.path.exists(text))
        self.stoa("rm", "--force", "text")
        self.assertFalse(os.path.exists(text))
        os.mkdir(self.path("folder"))
        self.stoa("rm", "--force", "folder", status=8)

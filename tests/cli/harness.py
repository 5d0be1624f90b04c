# SPDX-License-Identifier: BSL-1.0
"""The command under test, processes to try it on, and the bytes of segments."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

STOA = os.environ["STOA_COMMAND"]
ACTOR = os.environ["STOA_ACTOR"]
EXPECTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected")
PRELOADED = os.environ["STOA_PRELOADED"]
READING = ("ls", "info", "check", "dump", "locks")
DEADLINE = 20


class Result:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    def __repr__(self):
        return f"status {self.status}\n{self.out}\n{self.err}"


class Actor:
    """A process of actor.c; `ready` when it has done what it was asked to do."""

    def __init__(self, scene, name, *more, prefix=()):
        self.child = subprocess.Popen(
            [*prefix, ACTOR, scene, name, *more], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.pid = self.child.pid

    def ready(self):
        for line in self.child.stdout:
            if line == "ready\n":
                return self
        raise AssertionError(f"the actor ended with {self.child.wait()}")

    def kill(self):
        self.child.kill()
        self.child.wait()
        self.close()

    def end(self):
        self.child.stdin.close()
        status = self.child.wait(DEADLINE)
        self.close()
        if status:
            raise AssertionError(f"the actor ended with {status}")

    def close(self):
        for pipe in (self.child.stdin, self.child.stdout):
            pipe.close()


class Case(unittest.TestCase):
    maxDiff = None

    command = STOA

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="stoa-cli-", dir="/dev/shm")
        self.environment = dict(
            os.environ, STOA_DIRECTORY=self.folder, LC_ALL="C.UTF-8")
        self.environment.pop("STOA_DOMAIN", None)
        os.environ["STOA_DIRECTORY"] = self.folder
        os.environ.pop("STOA_DOMAIN", None)
        os.environ.pop("STOA_ACTOR_WITHOUT_TOKENS", None)
        os.environ.pop("STOA_ACTOR_WITHOUT_PAUSE", None)
        self.actors = []

    def tearDown(self):
        for actor in self.actors:
            if actor.child.poll() is None:
                actor.kill()
            actor.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- doing ----

    def play(self, scene, name="bank", *more):
        """A scene that ends by itself."""
        subprocess.run([ACTOR, scene, name, *more], check=True, timeout=DEADLINE,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def actor(self, scene, name="bank", *more, prefix=()):
        actor = Actor(scene, name, *more, prefix=prefix)
        self.actors.append(actor)
        return actor.ready()

    def stoa(self, *words, status=0, prefix=(), **environment):
        done = subprocess.run(
            [*prefix, self.command, *words], capture_output=True, text=True,
            timeout=DEADLINE, env=dict(self.environment, **environment))
        result = Result(done)
        self.assertIn(
            result.status, status if isinstance(status, tuple) else (status,), result)
        if result.status > 0 and result.status & (4 | 8 | 16): # not killed
            self.assertTrue(result.err or result.out, "an error without a word")
        return result

    def preloaded(self, *words, how, **more):
        return self.stoa(*words, LD_PRELOAD=PRELOADED, STOA_PRELOAD=how,
                         ASAN_OPTIONS="verify_asan_link_order=0", **more)

    def json(self, *words, **more):
        result = self.stoa(*words, "--json", **more)
        return json.loads(result.out)

    def path(self, name="bank", domain="default"):
        return os.path.join(self.folder, domain, name)

    # ---- judging ----

    def content(self, path):
        """Every byte that the file has, where it has any, and how many blocks."""
        total = hashlib.sha256()
        with open(path, "rb") as file:
            end = os.fstat(file.fileno()).st_size
            at = 0
            while at < end:
                try:
                    at = os.lseek(file.fileno(), at, os.SEEK_DATA)
                except OSError:
                    break
                hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
                total.update(b"%d %d " % (at, hole))
                total.update(os.pread(file.fileno(), hole - at, at))
                at = hole
            blocks = os.fstat(file.fileno()).st_blocks
        return end, blocks, total.hexdigest()

    def assert_unchanged_by(self, path, *calls):
        """None of the calls, each in text and as JSON, changes a byte."""
        before = self.content(path)
        os.chmod(path, 0o400)
        for words, status in calls:
            self.stoa(*words, status=status)
            result = self.stoa(*words, "--json", status=status)
            if status == 0 or result.out: # what cannot be opened is no document
                json.loads(result.out)
        os.chmod(path, 0o600)
        self.assertEqual(self.content(path), before)

    def wait_until(self, true):
        until = time.monotonic() + DEADLINE
        while not true():
            self.assertLess(time.monotonic(), until, "it never came true")
            time.sleep(0.01)

    def wait_for_waiters(self, number, name="bank"):
        self.wait_until(lambda: sum(
            "waiting_ms" in row
            for row in self.json("locks", name)["locks"]) == number)

    def expect(self, name, text, numbers=False, **known):
        """As expected/NAME.txt; what differs from run to run is masked."""
        for word, value in known.items():
            text = re.sub(rf"\b{re.escape(str(value))}\b", f"<{word}>", text)
        text = text.replace(self.folder, "<folder>")
        text = re.sub(r"\b\d+(ms|s|m\d\ds)\b", "<age>", text)
        text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "<uuid>", text)
        text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", text)
        if numbers:
            text = re.sub(r"(?<![\w.-])(0x[0-9a-f]+|[0-9.]+)(?![\w.-])", "N", text)
            text = re.sub(r"N (bytes|[KMGT]iB)", "SIZE", text)
            text = re.sub(r"(?m)^slab .*\n(slab .*\n)*", "slab ...\n", text)
        # columns are as wide as what stands in them
        text = re.sub(r" +", " ", text)
        text = re.sub(r"(?m) +$", "", text)
        path = os.path.join(EXPECTED, name + ".txt")
        if os.environ.get("STOA_EXPECTED_UPDATE"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(text, file.read())

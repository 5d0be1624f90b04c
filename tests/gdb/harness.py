# SPDX-License-Identifier: BSL-1.0
"""A session of gdb: commands in, what each of them printed out."""
import os
import shutil
import subprocess
import tempfile
import unittest

GDB, SCENE = os.environ["STOA_GDB"], os.environ["STOA_SCENE"]
SCENE_CXX = os.environ["STOA_SCENE_CXX"]
SCENE_SHARED, LIBRARY = os.environ["STOA_SCENE_SHARED"], os.environ["STOA_LIBRARY"]
PRINTERS, BUILD = os.environ["STOA_PRINTERS"], os.environ["STOA_BUILD"]
DEADLINE = 60
MARK = "== command"


def session(program, commands, environment=None, printers=PRINTERS, options=()):
    """What each command printed, of a gdb that must not fail nor crash."""
    with tempfile.TemporaryDirectory(prefix="stoa-gdb-") as folder:
        script = os.path.join(folder, "commands")
        with open(script, "w", encoding="utf-8") as out:
            out.write("set breakpoint pending off\nset print thread-events off\n"
                      "set style enabled off\nset width 0\nset confirm off\n")
            for command in commands:
                # A command that fails must not end the script.
                out.write("echo %s\\n\npython try_(%r)\n" % (MARK, command))
            out.write("echo %s\\n\n" % MARK)
        helper = os.path.join(folder, "helper.py")
        with open(helper, "w", encoding="utf-8") as out:
            out.write("import gdb\n"
                      "def try_(command):\n"
                      "    try:\n        gdb.execute(command)\n"
                      "    except gdb.error as e:\n        print('error: %s' % e)\n")
        done = subprocess.run(
            [GDB, "--batch", "-nx", *options, *(["-x", printers] if printers else []),
             "-x", helper, "-x", script, program],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE,
            stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})},
            check=False)
    parts = done.stdout.split(MARK + "\n")
    if done.returncode or len(parts) != len(commands) + 2:
        raise AssertionError("gdb: status %d\n%s" % (done.returncode, done.stdout))
    for trace in ("Python Exception", "Traceback"):
        if trace in done.stdout:
            raise AssertionError(done.stdout)
    return [part.strip() for part in parts[1:-1]]


class Case(unittest.TestCase):
    """With a folder for segments, and the scene stopped where it is wanted."""
    program = SCENE
    environment = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="stoa-gdb-", dir="/dev/shm")
        self.addCleanup(shutil.rmtree, self.folder)
        self.maxDiff = None

    def at(self, stop, commands, **more):
        """What the commands print when the scene stopped in that function."""
        environment = {"STOA_DIRECTORY": self.folder, **self.environment}
        found = session(self.program,
                        ["break " + stop, "run", *commands, "kill"], environment, **more)
        self.assertIn(stop + " (p=", found[1])
        return found[2:-1]

    def values(self, stop, *expressions):
        """expression -> as printed."""
        found = self.at(stop, ["output %s" % e for e in expressions])
        return dict(zip(expressions, found))

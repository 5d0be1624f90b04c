# SPDX-License-Identifier: BSL-1.0
"""How it is called: options, help, wrong usage, output that fails, completion."""
import os
import subprocess

from harness import Case, READING, STOA

COMMANDS = READING + ("recover", "rm")
COMPLETION = os.environ["STOA_COMPLETION"]


class Use(Case):
    def test_help(self):
        text = self.stoa("--help").out
        self.assertEqual(self.stoa("help").out, text)
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", text)
            about = self.stoa(command, "--help").out
            for option in ("--json", "--directory", "--domain", "--file"):
                self.assertIn(option, about)
            self.assertEqual(self.stoa("help", command).out, about)
            self.stoa(command, "--usage")
        self.assertRegex(self.stoa("--version").out, r"^stoa \d+\.\d+\.\d+\n$")

    def test_wrong(self):
        for words in ((), ("frobnicate",), ("--frobnicate",)):
            self.assertIn("stoa", self.stoa(*words, status=16).err)
        for command in COMMANDS:
            result = self.stoa(command, "--frobnicate", status=16)
            self.assertIn(f"stoa {command}", result.err)
            if command != "ls":
                self.assertIn("NAME is missing", self.stoa(command, status=16).err)
            self.stoa(command, "--file", "--domain", "x", "y", status=16)
        for command in ("info", "check", "locks", "recover"):
            self.stoa(command, "one", "two", status=16)
        self.stoa("dump", "one", "two", "three", status=16)
        self.stoa("ls", "--domain", status=16)

    def test_bad_names(self):
        for name in ("a/b", ".hidden", "x" * 300, "new\nline"):
            for command in COMMANDS:
                self.stoa(command, name, status=8)

    def test_full_output(self):
        self.play("make")
        with open("/dev/full", "w", encoding="ascii") as full:
            for words in (("ls",), ("dump", "bank"), ("ls", "--json"),
                          ("dump", "bank", "--json")):
                done = subprocess.run([STOA, *words], stdout=full, check=False,
                                      stderr=subprocess.PIPE, env=self.environment)
                self.assertEqual(done.returncode, 8, words)

    def complete(self, *words):
        """What bash would offer for the last word."""
        script = (
            'source "$0"; COMP_WORDS=(stoa "$@"); COMP_CWORD=$#; COMPREPLY=(); '
            '_stoa; printf "%s\\n" "${COMPREPLY[@]}"')
        environment = dict(self.environment)
        environment["PATH"] = os.path.dirname(STOA) + ":" + environment["PATH"]
        done = subprocess.run(["bash", "-c", script, COMPLETION, *words], check=True,
                              capture_output=True, text=True, env=environment)
        self.assertEqual(done.stderr, "")
        return set(done.stdout.split())

    def test_completion(self):
        self.play("make")
        self.play("make", "bakery")
        self.assertEqual(self.complete("re"), {"recover"})
        self.assertTrue(set(COMMANDS) <= self.complete(""))
        self.assertEqual(self.complete("info", "ban"), {"bank"})
        self.assertEqual(self.complete("info", "ba"), {"bank", "bakery"})
        self.assertEqual(self.complete("recover", "--f"), {"--file", "--force"})
        self.assertEqual(self.complete("locks", "--t"), {"--tree"})
        self.assertEqual(self.complete("dump", "bank", "accounts/f"), {"accounts/first"})
        self.assertEqual(self.complete("ls", "--domain", "d"), {"default"})
        # every option that a command has is offered, and no other
        for command in COMMANDS:
            about = self.stoa(command, "--help").out
            offered = self.complete(command, "--")
            for option in offered:
                self.assertIn(option, about)
            for line in about.splitlines():
                for word in line.split("  "):
                    name = word.strip().split("=")[0].split(",")[-1].strip()
                    if name.startswith("--") and " " not in name:
                        self.assertIn(name, offered, command)

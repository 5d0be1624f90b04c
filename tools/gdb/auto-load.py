# SPDX-License-Identifier: BSL-1.0
"""gdb reads this when a program has loaded libstoa.so: see README.md."""
import os

import gdb

if not any(getattr(p, "name", "") == "stoa" for p in gdb.pretty_printers):
    share = os.path.abspath(__file__).split("/gdb/auto-load/")[0]
    gdb.execute("source " + os.path.join(share, "stoa", "gdb", "stoa.py"))

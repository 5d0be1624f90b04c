# SPDX-License-Identifier: BSL-1.0
"""What bench/python.trace was recorded of: a script is parsed, shown, and parsed again."""
import ast
import json
import sys

for name in sys.argv[1:]:
    with open(name, encoding="utf-8") as file:
        shown = ast.dump(ast.parse(file.read()))
    json.loads(json.dumps(shown.split(",")))

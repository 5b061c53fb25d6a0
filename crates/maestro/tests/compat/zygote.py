"""Runs maestro-ng again and again without loading it each time: half a second less for each of hundreds of files.

Reads one JSON object per line, {"home", "arguments", "variables"}, runs each in a child of its own, whose output goes to
the files `stdout` and `stderr` in that directory, and answers with the exit code in a line.
"""

import json
import os
import sys
import traceback

import maestro.__main__

# What is loaded when it is first needed.
import jinja2.runtime  # noqa: F401
import maestro.plays.tasks  # noqa: F401


def run(wanted):
    os.chdir(wanted["home"])
    os.environ.clear()
    os.environ.update(wanted["variables"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        code = maestro.__main__.main(wanted["arguments"])
    except SystemExit as exit:
        code = exit.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    # As its own script does, but for threads that a failure has left behind.
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


for line in sys.stdin:
    child = os.fork()
    if not child:
        run(json.loads(line))
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)

"""Loads environment files as maestro-ng does, again and again.

Reads one JSON object per line, {"files": {name: text}, "variables": {name: value}}, and answers each with a line: the
rendered text and the loaded data, with types; or, in place of either, why there is none.
"""

import datetime
import json
import os
import signal
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")

import maestro.loader  # noqa: E402

SECONDS = 20
load_yaml = maestro.loader.yaml.load


def typed(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, bytes):
        return {"bytes": repr(value)}
    if isinstance(value, datetime.date):
        return {"time": str(value)}
    if isinstance(value, (list, tuple, set)):
        return [typed(item) for item in value]
    return {"map": [[typed(key), typed(item)] for key, item in value.items()]}


def answer(asked):
    seen = {}

    def load(text, Loader):
        seen["text"] = text
        try:
            seen["data"] = typed(load_yaml(text, Loader=Loader))
        except Exception as error:
            seen["data_refused"] = repr(error)
        return {}

    maestro.loader.yaml.load = load
    with tempfile.TemporaryDirectory() as folder:
        for name, text in asked["files"].items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", newline="", encoding="utf-8") as file:
                file.write(text)
        os.environ.clear()
        os.environ.update(asked["variables"])
        try:
            maestro.loader.load(os.path.join(folder, "maestro.yaml"))
        except Exception as error:
            seen = {"text_refused": repr(error)}
    return seen


for line in sys.stdin:
    # Nobody waits longer for what does not end.
    signal.alarm(SECONDS)
    print(json.dumps(answer(json.loads(line))), flush=True)

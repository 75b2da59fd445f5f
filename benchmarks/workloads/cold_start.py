"""S12: a fresh process imports the package, opens a project and reads, where only Peewee is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import peewee
import playhouse

import peewee_conv

from .. import data
from ..bench import Bench
from ..measure import Race, Slice, check
from ..memory import PEAK

_STORED = 200
_PEEWEE = "plain Peewee"
_OURS = "ours"

_IMPORT = """
import sys, time
began = time.perf_counter()
import {module}
imported = time.perf_counter() - began
"""
_ANSWER = """
import json
print(json.dumps([imported, read, peak_mb, last]))
"""
_READ_BY_OURS = """
began = time.perf_counter()
project = peewee_conv.Project(sys.argv[1])
last = project.conversations.context("talk")[-1].content
read = time.perf_counter() - began
project.dispose()
"""
_MODELS = """
from peewee import *
database = SqliteDatabase(sys.argv[1] + "/.peewee_conv/assistant.db", pragmas={"foreign_keys": 1, "synchronous": 2})
class Conversation(Model):
    number = AutoField()
    id = TextField()
    class Meta:
        database, table_name = database, "conversations"
class Message(Model):
    id = IntegerField(primary_key=True)
    role = TextField()
    content = TextField()
    token_count = IntegerField(null=True)
    metadata = TextField(null=True)
    external_id = TextField(null=True)
    created_at = TextField()
    class Meta:
        database, table_name = database, "messages"
"""
_READ_BY_PEEWEE = """
began = time.perf_counter()
database.connect()
number = Conversation.get(Conversation.id == "talk").number
span = Message.id.between(number << 32, (number + 1 << 32) - 1)
last = list(Message.select().where(span).order_by(Message.id.desc()).limit(20))[0].content
read = time.perf_counter() - began
database.close()
"""
_SCRIPTS = {
    _PEEWEE: _IMPORT.format(module="peewee") + _MODELS + _READ_BY_PEEWEE + PEAK + _ANSWER,
    _OURS: _IMPORT.format(module="peewee_conv") + _READ_BY_OURS + PEAK + _ANSWER,
}
_CASES = ("process", "import", "open and first read", "peak memory")


def fresh_process(bench: Bench) -> Iterator[Race]:
    """S12: processes in turn; each is timed from outside and tells the rest."""
    slices = bench.pick(8, 4, 1)
    with bench.space() as folder:
        data.template(folder, {"talk": _STORED})
        python = _clean_python(Path(folder, "environment"))
        races = {case: Race("S12", case, unit="MB" if "memory" in case else "ms", reference=_PEEWEE) for case in _CASES}
        for _ in range(bench.rounds):
            taken: dict[str, dict[str, list[Slice]]] = {case: {name: [] for name in _SCRIPTS} for case in _CASES}
            for turn in range(slices):
                for name in sorted(_SCRIPTS, reverse=bool(turn % 2)):
                    for case, value in zip(_CASES, _start(python, name, folder), strict=True):
                        taken[case][name].append(Slice([value], value))
            for case in _CASES:
                races[case].add_round(taken[case])
    yield from races.values()


def _start(python: str, name: str, folder: str) -> tuple[float, float, float, float]:
    began = time.perf_counter()
    command = [python, "-c", _SCRIPTS[name], folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    check(done.returncode == 0, f"{name} fails in a clean environment: {done.stderr}")
    imported, read, peak_mb, last = json.loads(done.stdout)
    check(last == data.content("talk", _STORED), f"{name} does not read to the end of the conversation")
    return seconds, imported, read, peak_mb


def _clean_python(folder: Path) -> str:
    """Make an environment that holds Peewee, peewee_conv and nothing else; return its interpreter."""
    venv.create(folder, symlinks=os.name != "nt", with_pip=False)
    python = next(path for path in (folder / "bin/python", folder / "Scripts/python.exe") if path.exists())
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    place = Path(subprocess.run([python, "-c", query], capture_output=True, text=True, check=True).stdout.strip())
    shutil.copy(peewee.__file__, place)
    _copy_package(Path(playhouse.__path__[0]), place / "playhouse")
    ours = Path(peewee_conv.__file__).parent
    _copy_package(ours, place / "peewee_conv")
    if not (ours / "migrations").exists():  # a checkout keeps them beside the package
        _copy_package(ours.parent / "migrations", place / "peewee_conv" / "migrations")
    subprocess.run([python, "-m", "compileall", "-q", place], check=True)  # as an installer does
    return str(python)


def _copy_package(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))

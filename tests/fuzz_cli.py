"""The command line with random arguments, in this process: a sentence and a status, never a bug."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from random import Random
from typing import Final
from unittest import mock

from fuzz_values import Target, outcome, text

from peewee_conv import Project, cli

#: All but those that wait for requests, or do minutes of work.
COMMANDS: Final = (
    *("import", "export", "adopt", "list", "show", "search", "context", "stats", "users", "usage", "keys", "keys list"),
    *("keys create", "features", "features list", "features ready", "features import", "features export", "schedules"),
    *(
        "migrate",
        "migrate status",
        "migrate up",
        "migrate down",
        "upgrade",
        "retain",
        "check",
        "backup",
        "restore",
        "",
        "no such",
    ),
)
_OPTIONS: Final = (
    *("--project", "--json", "--quiet", "--markdown", "--overwrite", "--conversation", "--assistant", "--user"),
    *("--limit", "--after", "--first", "--last", "--role", "--since", "--until", "--max-messages", "--max-tokens"),
    *("--pin", "--by", "--model", "--created-by", "--status", "--at", "--to", "--yes", "--dry-run", "--root", "--into"),
    *("--prune", "--inactive-days", "--max-conversations", "--max-size", "--purge", "--vacuum", "--repair", "--help"),
)
_WORDS: Final = (
    "1",
    "0",
    "20",
    "project",
    "notes.txt",
    "missing",
    "talk",
    "user",
    "system",
    "day",
    "market",
    "-",
    "5MB",
)
_STATUSES: Final = (0, 1, 2, 3)


def command_line(folder: Path) -> Target:
    """Return the target of the command line, in the current folder, which must be *folder*."""
    with Project(folder / "project") as project:
        project.conversations.create(id="talk")
        project.conversations.add_message("talk", "user", "What's the market outlook?")
        project.features.create("Log in")
    project.dispose()
    (folder / "notes.txt").write_text("these are my notes\n")

    def target(chance: Random) -> None:
        words = chance.choice(COMMANDS).split()
        for _ in range(chance.randrange(6)):
            words.append(chance.choice((chance.choice(_OPTIONS), chance.choice(_WORDS), _word(chance))))
        if chance.random() < 0.8:
            words += ["--project", "project"]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _standard_input(chance):
            found = outcome(cli.main, words)
        assert found.error is None
        assert found.result in _STATUSES
        assert "a bug of" not in err.getvalue(), (words, err.getvalue())
        assert "Traceback" not in err.getvalue()

    return target


def _word(chance: Random) -> str:
    # No path that leads out of the folder, and nothing that a shell could not pass.
    word = text(chance).replace(os.sep, "").replace("..", "").replace("\0", "")
    return word.encode("utf-8", "replace").decode()


def _standard_input(chance: Random) -> contextlib.AbstractContextManager[object]:
    data = io.TextIOWrapper(io.BytesIO(text(chance).encode("utf-8", "replace")), encoding="utf-8")
    return mock.patch.object(sys, "stdin", data)

"""Where the Sovereign Assistant's StateManager keeps its data: a file that its URL names, or memory."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from state_tools import bot as bot
from state_tools import contents
from state_tools import manager as manager
from state_tools import thread as thread

from peewee_conv import Project, errors
from peewee_conv.compat.state_manager import StateManager, StateManagerException, Thread


def test_the_default_file_is_made_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)

    manager = StateManager()

    assert manager.database_url == "sqlite:///data/sovereign_assistant.db"
    assert (tmp_path / "data" / "sovereign_assistant.db.project" / ".peewee_conv" / "assistant.db").is_file()
    manager.engine.dispose()


def test_the_environment_names_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/deep/talks.db")
    manager = StateManager()

    assert manager.engine.project == Project(tmp_path / "deep" / "talks.db.project")
    manager.engine.dispose()


def test_an_old_file_of_that_name_is_not_mistaken_for_nothing(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("CREATE TABLE assistants (id VARCHAR(36) PRIMARY KEY)")
    before = old.read_bytes()

    with pytest.raises(StateManagerException, match="peewee-conv adopt") as caught:
        StateManager(f"sqlite:///{old}")

    assert isinstance(caught.value.__cause__, errors.ForeignDatabase)
    assert (old.read_bytes(), os.listdir(tmp_path)) == (before, ["old.db"])


def test_an_old_file_is_no_hindrance_once_there_is_a_project(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    StateManager(url).create_assistant("Aurora", "You analyse markets.", assistant_id="a-1")
    (tmp_path / "old.db").write_bytes(b"old")

    assert StateManager(url).get_assistant("a-1").name == "Aurora"


def test_an_empty_file_of_that_name_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()

    assert StateManager(f"sqlite:///{tmp_path}/new.db").list_assistants() == []


@pytest.mark.parametrize("url", ["postgresql://u:secret@h/d", "talks.db", "sqlite:///file:x?mode=memory"])
def test_another_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StateManagerException, match="invalid database_url") as caught:
        StateManager(url)

    assert "secret" not in str(caught.value)


def test_a_database_in_memory_is_private_and_goes_with_its_disposal() -> None:
    one, other = StateManager("sqlite:///:memory:"), StateManager("sqlite:///:memory:")
    folder = one.engine.project.path
    one.create_assistant("Aurora", "You analyse markets.")

    assert other.list_assistants() == []
    one.engine.dispose()
    other.engine.dispose()

    assert not folder.exists()
    with pytest.raises(StateManagerException):
        one.list_assistants()
    assert not folder.exists()


def test_a_database_in_memory_goes_with_the_process() -> None:
    program = (
        "from peewee_conv.compat.state_manager import StateManager; sm = StateManager('sqlite:///:memory:');"
        "sm.create_assistant('A', 'I'); print(sm.engine.project.path)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr == ""
    assert not Path(done.stdout.strip()).exists()


def test_a_database_in_memory_serves_every_thread(manager: StateManager, thread: Thread) -> None:
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda content: manager.add_message(thread.id, "user", content), "abcd"))

    assert sorted(contents(said)) == sorted(contents(manager.get_messages(thread.id))) == list("abcd")


def test_a_file_is_opened_again_after_a_disposal(tmp_path: Path) -> None:
    manager = StateManager(f"sqlite:///{tmp_path}/talks.db")
    bot = manager.create_assistant("Aurora", "You analyse markets.")
    manager.engine.dispose()

    assert manager.get_assistant(bot.id).threads == bot.threads == []


def test_echo_logs_statements_without_their_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="peewee_conv")  # and back in the end
    caplog.handler.setLevel("DEBUG")

    StateManager(f"sqlite:///{tmp_path}/talks.db", echo=True).create_assistant("Aurora", "Sesame.")

    assert "INSERT INTO assistants" in caplog.text
    assert "Sesame" not in caplog.text

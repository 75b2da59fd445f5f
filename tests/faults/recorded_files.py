"""Restores, deletions, repairs and vacuums, recorded, and what must be left of the files after a power cut."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from fault_tools import assert_sound, rows
from power_cuts import Recording

from peewee_conv import Project, Projects

NAME = "aurora"
FIRST, COPIED, SECOND = "first life", "copied", "second life"  # how the messages of a state begin


class Held(NamedTuple):
    """What a project holds; one that is not there holds nothing."""

    is_listed: bool = True
    messages: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


class Story(ABC):
    """Calls on the project *NAME* below a root, recorded, and what it holds after each.

    :ivar states: before the first call, and after each of which the caller was told.
    :ivar window: the moments of the calls that the story is about.
    """

    def __init__(self, root: Path, journal: str) -> None:
        self.root, self._settings = root, {"journal_mode": journal}
        project = self.projects(root).create(NAME)
        self.states = [self.set_up(project)]
        project.dispose()
        self.recording = Recording(root)
        with self.recording.running():
            self.act(self.projects(root))

    def projects(self, root: Path) -> Projects:
        return Projects(root / "projects", **self._settings)

    # --- what a kind of story is about ---

    @abstractmethod
    def set_up(self, project: Project) -> Held:
        """Fill the project, and return what it holds."""

    @abstractmethod
    def act(self, projects: Projects) -> None:
        """Make the calls."""

    @abstractmethod
    def look(self, root: Path, told: int) -> None:
        """Check what must hold before anything else opens the project."""

    @abstractmethod
    def assert_more(self, root: Path, told: int, held: Held) -> None:
        """Check what else a cut has left, and go on using the project."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Make the calls that the story is about, and tell of them."""
        start = len(self.recording.events)
        yield
        self.window = range(start, len(self.recording.events) + 1)

    def tell(self, **changes: Any) -> None:
        """Note that the caller was told: the project holds the same as before but for *changes*."""
        self.states.append(self.states[-1]._replace(**changes))
        self.recording.mark(len(self.states) - 1)

    def append(self, project: Project, text: str) -> None:
        """Append some messages, each in a call of its own."""
        for _ in range(3):
            self.tell(messages=(*self.states[-1].messages, *add(project, text, 1)))

    # --- after the cut ---

    def assert_survives(self, root: Path, moment: int) -> None:
        """Check what a cut at *moment* has left at *root*: what was told, or what the call under way was to make."""
        told = max(self.recording.told(moment), default=0)
        try:
            self.look(root, told)
            held = self.held(root)
            for name, value in held._asdict().items():
                assert value in [getattr(state, name) for state in self.states[told : told + 2]], name
            self.assert_more(root, told, held)
        finally:
            Project(root / "projects" / NAME, **self._settings).dispose()

    def held(self, root: Path) -> Held:
        """Open the project and return what it holds."""
        projects = self.projects(root)
        if projects.find(NAME) is None:
            return Held(is_listed=False)
        project = projects.get(NAME)
        held = Held(messages=contents(project), features=tuple(feature.name for feature in project.features.all()))
        assert project.check() == []
        return held


def add(project: Project, text: str, count: int) -> tuple[str, ...]:
    """Append messages to the one conversation, which is made for the first; return their contents."""
    added = tuple(f"{text} {number} {'x' * 1000}" for number in range(count))
    if project.conversations.find("talk") is None:
        project.conversations.create(id="talk")
    project.conversations.add_messages("talk", [{"role": "user", "content": content} for content in added])
    return added


def contents(project: Project) -> tuple[str, ...]:
    """Return what is said in all conversations."""
    conversations = project.conversations
    return tuple(message.content for talk in conversations.list() for message in conversations.iterate(talk.id))


def kill_writers(project: Project) -> None:
    """Leave on disk what is there when those die who have the project open, one of them before it has committed."""
    database = project.database_path()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")  # so that it writes before it commits
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE messages SET created_at = 'never committed'")
        left = {path: path.read_bytes() for path in files_of(database) if not path.name.endswith("-shm")}
        connection.execute("ROLLBACK")
    project.dispose()
    for path, content in left.items():
        path.write_bytes(content)


def files_of(database: Path) -> list[Path]:
    return sorted(database.parent.glob(f"{database.name}*"))


# --- restores ---


class Restore(Story):
    """A backup takes the place of the file.

    :param found: what the restore finds: a file ``in use`` by its own process; one whose writers were ``killed``, with
        its log or journal; or such a log whose file is ``missing``.
    """

    def __init__(self, root: Path, journal: str, found: str, *, keep_old: bool) -> None:
        self._found, self._keep_old = found, keep_old
        super().__init__(root, journal)

    def set_up(self, project: Project) -> Held:
        self._copied = add(project, COPIED, 30)
        project.backup(self.root / "copy.db")
        project.conversations.delete("talk")
        held = Held(messages=add(project, FIRST, 40))
        if self._found != "in use":
            kill_writers(project)
        if self._found == "missing":
            project.database_path().unlink()
            return Held()
        return held

    def act(self, projects: Projects) -> None:
        project = projects.get(NAME)
        if self._found == "in use":
            self.append(project, FIRST)
        self._old = self.states[-1].messages
        with self.watched():
            project.restore(self.root / "copy.db", keep_old=self._keep_old)
            self.tell(messages=self._copied)
        self._restored = len(self.states) - 1
        project = projects.get(NAME)
        self.append(project, SECOND)
        project.dispose()

    def look(self, root: Path, told: int) -> None:
        """Expect nothing yet: the file at the path may need its journal."""

    def assert_more(self, root: Path, told: int, held: Held) -> None:
        assert_sound(root / "copy.db")
        project = self.projects(root).get(NAME)
        is_restored = told >= self._restored or held.messages == self._copied
        if is_restored and self._keep_old and self._found != "missing":
            old = project.database_path().with_name("assistant.db.before-restore")
            assert_sound(old)
            assert tuple(content for (content,) in rows(old, "SELECT content FROM messages ORDER BY id")) == self._old
        project.restore(root / "copy.db", keep_old=self._keep_old)
        assert self.held(root).messages == self._copied


# --- deletions ---


class Deletion(Story):
    """A project is deleted, and another one of the name is made.

    :param place: the data folder has ``only ours``, beside an application's own file; or it has files of ``others``
        too; or the files lie where an ``older`` application kept them, and the project has nothing else.
    :param was_killed: whether the deletion finds logs or journals of killed writers.
    """

    def __init__(self, root: Path, journal: str, place: str, *, was_killed: bool) -> None:
        self._place, self._was_killed = place, was_killed
        super().__init__(root, journal)

    def set_up(self, project: Project) -> Held:
        held = Held(messages=add(project, FIRST, 40), features=(project.features.create(FIRST).name,))
        folder = project.database_path().parent
        if self._was_killed:
            kill_writers(project)
        project.dispose()
        if self._place == "others":
            (folder / "notes.txt").write_text("mine")
        if self._place == "only ours":
            (project.path / "app.py").write_text("mine")
        if self._place == "older":
            folder.rename(project.path / ".autoforge")
        return held

    def act(self, projects: Projects) -> None:
        project = projects.get(NAME)
        if not self._was_killed:
            self.append(project, FIRST)
        with self.watched():
            assert projects.delete(NAME)
            self.tell(is_listed=self._place != "older", messages=(), features=())
        self._deleted = len(self.states) - 1
        project = projects.find(NAME) or projects.create(NAME)
        self.tell(is_listed=True)
        self.append(project, SECOND)
        project.dispose()

    def look(self, root: Path, told: int) -> None:
        if told >= self._deleted:
            self._assert_gone(root)

    def assert_more(self, root: Path, told: int, held: Held) -> None:
        if self._place == "only ours" and told < self._deleted:
            assert bool(held.messages) == bool(held.features), "half of the project has gone"
        projects = self.projects(root)
        assert projects.delete(NAME) is held.is_listed
        self._assert_gone(root)
        project = projects.find(NAME) or projects.create(NAME)
        assert contents(project) == ()
        assert add(project, SECOND, 1) == contents(project)
        assert project.check() == []

    def _assert_gone(self, root: Path) -> None:
        """Check that nothing is left of the deleted project under any name."""
        left = [path for path in root.rglob("*") if path.is_file() and FIRST.encode() in path.read_bytes()]
        assert left == [], "something of a deleted project is there"


# --- upkeep ---


class Upkeep(Story):
    """A file is repaired and vacuumed."""

    def set_up(self, project: Project) -> Held:
        messages = add(project, FIRST, 40)
        project.conversations.create(id="doomed")
        project.conversations.add_messages("doomed", [{"role": "user", "content": "y" * 9000}] * 9)
        project.conversations.delete("doomed")
        return Held(messages=messages)

    def act(self, projects: Projects) -> None:
        project = projects.get(NAME)
        self.append(project, FIRST)
        with self.watched():
            project.retain(vacuum=True)
            self.tell()
            self._vacuumed = len(self.states) - 1
            self.append(project, SECOND)
            miscount(project.database_path())
            self._found = project.repair().mended
            self._sizes = {len(self.states[-1].messages)}
            self.tell()
        self._repaired = len(self.states) - 1
        self.append(project, SECOND)
        project.dispose()

    def look(self, root: Path, told: int) -> None:
        project = self.projects(root).get(NAME)
        assert project.check() in ([[]] if told >= self._repaired else [[], self._found]), (
            "neither as it was nor mended"
        )
        project.repair()

    def assert_more(self, root: Path, told: int, held: Held) -> None:
        database = self.projects(root).get(NAME).database_path()
        if told >= self._vacuumed:
            assert rows(database, "PRAGMA freelist_count") == [(0,)]
        for path in files_of(database):
            if ".before-repair" in path.name and ".new-" not in path.name:
                ((count,),) = rows(path, "SELECT count(*) FROM messages")
                assert count in {*self._sizes, len(held.messages)}, "a copy is not whole"


def miscount(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE conversations SET message_count = message_count + 1")

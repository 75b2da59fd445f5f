"""Power cuts, replayed: what a disk may hold if the power fails at any moment of a piece of work.

A :class:`Recording` notes every change of the files below a folder while the work runs: what SQLite writes, cuts, syncs
and deletes, through ``sqlite_layer``, and what the package itself makes, links, renames, deletes and syncs, through
``os``. A :class:`Disk` then plays the changes up to a chosen moment and draws what has survived:

- what a file was when it was last synced, is there;
- of later writes each is lost, kept or torn, sector by sector, whatever became of those before it; torn sectors and
  the room before a write that came through alone may hold garbage;
- a name that appeared or vanished since its folder was last synced is the old or the new one, each on its own; a
  folder keeps what is in it under either name.

That is more than a file system with a journal would do, and as much as SQLite reckons with: bytes beside a write stay
as they are (https://sqlite.org/psow.html).
"""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from sqlite_layer import Step, listening

ROOT = 0  # every file and folder has a number

#: Where a name is: the number of its folder, and the name in it.
Place = tuple[int, str]


class Change(NamedTuple):
    """A change of a file's content: bytes from an offset on, or a new size."""

    offset: int
    data: bytes | None


class Written(NamedTuple):
    file: int
    change: Change


class Synced(NamedTuple):
    """A file is on disk as it was when event *begun* was the next one."""

    file: int
    begun: int


class Named(NamedTuple):
    """Names now lead elsewhere, all or none of them: to a file, a folder, or nowhere (``None``)."""

    names: tuple[tuple[Place, int | None], ...]


class FolderSynced(NamedTuple):
    folder: int
    begun: int


class Mark(NamedTuple):
    """Something that a caller was told."""

    value: Any


class Recording:
    """What happens to the files below *root* while :meth:`running`.

    :ivar events: in their order, as they were finished.
    """

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.events: list[Written | Synced | Named | FolderSynced | Mark] = []
        self.numbers: dict[str, int] = {self.root: ROOT}  # by path, as it is now
        self.folders = {ROOT}
        self.contents: dict[int, bytes] = {}  # at the beginning
        self.before: dict[Place, int | None] = {}
        self._lock = threading.RLock()
        self._handles: dict[int, int] = {}  # of SQLite
        self._descriptors: dict[int, str] = {}
        self._next = ROOT + 1
        self._look(root)

    def _look(self, root: Path) -> None:
        for path in sorted(root.rglob("*")):
            number = self.numbers[str(path)] = self._number(is_folder=path.is_dir())
            self.before[self._place(str(path))] = number
            if not path.is_dir():
                self.contents[number] = path.read_bytes()

    def _number(self, *, is_folder: bool = False) -> int:
        number = self._next
        self._next += 1
        if is_folder:
            self.folders.add(number)
        return number

    def _place(self, path: str) -> Place:
        folder, name = os.path.split(path)
        return self.numbers[folder], name

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record. No connection may be open below the root."""
        with listening(self._on_step), mock.patch.multiple(os, **self._calls()):
            yield

    def mark(self, value: Any) -> None:
        """Note what a caller was told, at this moment."""
        with self._lock:
            self.events.append(Mark(value))

    # --- SQLite ---

    def _on_step(self, step: Step, go: Callable[..., int]) -> int:
        begun = len(self.events)
        code = go()
        if code == 0 and self._is_ours(step.path):
            with self._lock:
                self._note(step, begun)
        return code

    def _note(self, step: Step, begun: int) -> None:
        if step.name == "open":
            self._open(step)
        elif step.name == "write":
            self.events.append(Written(self._handles[step.file], Change(step.number, step.data)))
        elif step.name == "truncate":
            self.events.append(Written(self._handles[step.file], Change(step.number, None)))
        elif step.name == "sync":
            self.events.append(Synced(self._handles[step.file], begun))
        elif step.name == "delete":
            self._name((step.path, None))
            begun = len(self.events)
        if step.syncs_folder:
            self.events.append(FolderSynced(self._place(step.path)[0], begun))

    def _open(self, step: Step) -> None:
        if step.path not in self.numbers:
            self._name((step.path, self._number()))
        self._handles[step.file] = self.numbers[step.path]

    # --- the package itself ---

    def _calls(self) -> dict[str, Callable[..., Any]]:
        noting = {
            "link": lambda old, new: ((new, self.numbers[old]),),
            "rename": lambda old, new: ((old, None), (new, self.numbers[old])),
            "replace": lambda old, new: ((old, None), (new, self.numbers[old])),
            "unlink": lambda path: ((path, None),),
            "rmdir": lambda path: ((path, None),),
            "mkdir": lambda path, *_: ((path, self._number(is_folder=True)),),
        }
        calls = {name: self._noting(getattr(os, name), names) for name, names in noting.items()}
        return {**calls, "open": self._opening(os.open), "fsync": self._on_fsync}

    def _noting(self, call: Callable[..., Any], names_of: Callable[..., Any]) -> Callable[..., Any]:
        def noting(path: Any, *args: Any, **kwargs: Any) -> Any:
            done = call(path, *args, **kwargs)
            full = self._full(path, kwargs.get("dir_fd"))
            if self._is_ours(full):
                with self._lock:
                    self._name(*names_of(full, *args))
            return done

        return noting

    def _full(self, path: Any, folder: int | None) -> Any:
        """Return the path of what is named within an open folder."""
        return os.fspath(path) if folder is None else os.path.join(self._descriptors.get(folder, ""), path)

    def _opening(self, call: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            handle = call(path, flags, *args, **kwargs)
            full = self._full(path, kwargs.get("dir_fd"))
            if self._is_ours(full):
                with self._lock:
                    self._descriptors[handle] = full
                    if flags & os.O_CREAT and full not in self.numbers:
                        self._name((full, self._number()))
            return handle

        return opening

    def _on_fsync(self, handle: int) -> None:
        with self._lock:
            path = self._descriptors.get(handle, "")
            number = self.numbers.get(path)
            if number in self.folders:
                self.events.append(FolderSynced(number, len(self.events)))
            elif number is not None:
                self._sync_content(path, number)

    def _sync_content(self, path: str, file: int) -> None:
        """Note a file that was written by other means than SQLite; the package never syncs a database that is open."""
        content = Path(path).read_bytes()
        self.events += [Written(file, Change(0, None)), Written(file, Change(0, content))]
        self.events.append(Synced(file, len(self.events)))

    def _name(self, *names: tuple[str, int | None]) -> None:
        self.events.append(Named(tuple((self._place(path), number) for path, number in names)))
        for path, number in names:
            gone = self.numbers.pop(path, None)
            if number is not None:
                self.numbers[path] = number
            elif gone in self.folders:
                self._move_within(path, [each for each, at in names if at == gone])

    def _move_within(self, old: str, new: list[str]) -> None:
        """What was below a folder that has another name now is below that, or gone with it."""
        for path in [path for path in self.numbers if path.startswith(old + os.sep)]:
            number = self.numbers.pop(path)
            for folder in new:
                self.numbers[folder + path.removeprefix(old)] = number

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(self.root)

    # --- what to cut ---

    def moments(self, count: int, chance: random.Random) -> list[int]:
        """Return that many moments in their order: just before and after syncs, in equal shares, and at random."""
        syncs = [at for at, event in enumerate(self.events) if isinstance(event, (Synced, FolderSynced))]
        around = [at + after for at in syncs for after in (0, 1)]
        chosen = chance.sample(around, min(len(around), count * 2 // 3))
        chosen += [chance.randrange(len(self.events) + 1) for _ in range(count - len(chosen))]
        return sorted(chosen)

    def told(self, moment: int) -> list[Any]:
        """Return what callers had been told by then."""
        return [event.value for event in self.events[:moment] if isinstance(event, Mark)]


class Disk:
    """The disk below a recording's root, moment by moment."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._contents = {file: bytearray(content) for file, content in recording.contents.items()}
        self._unsynced: dict[int, list[tuple[int, Change]]] = {}
        self._names = dict(recording.before)
        self._unsynced_names: list[tuple[int, Named]] = []
        self._at = 0

    def advance(self, moment: int) -> None:
        """Go on to *moment*, which is not before the last one."""
        for at in range(self._at, moment):
            event = self._recording.events[at]
            if isinstance(event, Written):
                self._unsynced.setdefault(event.file, []).append((at, event.change))
            elif isinstance(event, Named):
                self._unsynced_names.append((at, event))
            elif isinstance(event, Synced):
                self._sync(event)
            elif isinstance(event, FolderSynced):
                self._sync_folder(event)
        self._at = max(self._at, moment)

    def _sync(self, event: Synced) -> None:
        content = self._contents.setdefault(event.file, bytearray())
        waiting = self._unsynced.pop(event.file, [])
        for at, change in waiting:
            if at < event.begun:
                _apply(content, change)
        self._unsynced[event.file] = [(at, change) for at, change in waiting if at >= event.begun]

    def _sync_folder(self, event: FolderSynced) -> None:
        waiting, self._unsynced_names = self._unsynced_names, []
        for at, named in waiting:
            is_done = at < event.begun and all(folder == event.folder for (folder, _), _ in named.names)
            if is_done:
                self._names.update(named.names)
            else:
                self._unsynced_names.append((at, named))

    def put(self, target: Path, chance: random.Random) -> None:
        """Make *target* what the disk may hold if the power fails now."""
        shutil.rmtree(target, ignore_errors=True)
        names = [(*place, number) for place, number in self._surviving_names(chance).items() if number is not None]
        found: dict[int, list[tuple[str, int]]] = {}
        for folder, name, number in sorted(names, key=itemgetter(2, 1)):  # a draft has another name each time
            found.setdefault(folder, []).append((name, number))
        target.mkdir(0o700, parents=True)
        self._fill(target, ROOT, found, {}, chance)

    def _fill(
        self,
        target: Path,
        folder: int,
        found: dict[int, list[tuple[str, int]]],
        made: dict[int, Path],
        chance: random.Random,
    ) -> None:
        """Make what is in a folder; what is in one that has gone is not reached."""
        for name, number in found.get(folder, ()):
            path = target / name
            if number in self._recording.folders:
                path.mkdir(0o700)
                self._fill(path, number, found, made, chance)
            elif number in made:
                os.link(made[number], path)
            else:
                path.write_bytes(self._surviving_content(number, chance))
                path.chmod(0o600)
                made[number] = path

    def _surviving_names(self, chance: random.Random) -> dict[Place, int | None]:
        names = dict(self._names)
        waiting = [named for _, named in self._unsynced_names]
        how = chance.choice(("none", "all", "first", "any"))
        if how == "none":
            waiting = []
        elif how == "first":
            waiting = waiting[: chance.randint(0, len(waiting))]
        elif how == "any":
            waiting = [named for named in waiting if chance.random() < 0.5]
        for named in waiting:
            names.update(named.names)
        return names

    def _surviving_content(self, file: int, chance: random.Random) -> bytes:
        content = bytearray(self._contents.get(file, b""))
        changes = [change for _, change in self._unsynced.get(file, ())]
        how = chance.choice(("none", "all", "first", "any", "any"))
        if how == "none":
            changes = []
        elif how == "first":
            changes = changes[: chance.randint(0, len(changes))]
        share = chance.random() if how == "any" else 1.0
        sector = chance.choice((512, 4096))
        for place, change in enumerate(changes):
            is_last = how == "first" and place == len(changes) - 1
            if is_last or (how == "any" and chance.random() < 0.3):
                _apply_torn(content, change, sector, chance)
            elif chance.random() < share:
                _apply(content, change, chance)
        return bytes(content)


def cuts(recording: Recording, target: Path, count: int, within: range | None = None) -> Iterator[int]:
    """Make *target* what so many power cuts may leave, one after the other, and yield the moment of each.

    :param within: the moments among which half of them are, and always the last.
    """
    disk, chance = Disk(recording), random.Random(0)
    there = [] if within is None else [within[-1], *(chance.choice(within) for _ in range(count // 2 - 1))]
    for moment in sorted([*recording.moments(count - len(there), chance), *there]):
        disk.advance(moment)
        disk.put(target, chance)
        yield moment


def _apply(content: bytearray, change: Change, chance: random.Random | None = None) -> None:
    offset, data = change
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    gap = offset - len(content)
    if gap > 0:
        content.extend(chance.randbytes(gap) if chance is not None and chance.random() < 0.5 else bytes(gap))
    content[offset : offset + len(data)] = data


def _apply_torn(content: bytearray, change: Change, sector: int, chance: random.Random) -> None:
    """Apply some sectors of a write, and garbage in others."""
    offset, data = change
    if data is None:
        return
    start = offset
    while start < offset + len(data):
        end = min((start // sector + 1) * sector, offset + len(data))
        fate = chance.random()
        if fate < 0.5:
            _apply(content, Change(start, data[start - offset : end - offset]), chance)
        elif fate < 0.6:
            _apply(content, Change(start, chance.randbytes(end - start)), chance)
        start = end

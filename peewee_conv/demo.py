"""What ``peewee-conv demo`` does: the bundled sample into two projects from many threads, then a hard look at it.

The command prints; here is the work. Each step returns what it found.

>>> talks = load_sample()
>>> sorted({talk.desk for talk in talks})
['bikeshop', 'homelab']
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from .project import Project, Projects
from .records import Assistant
from .window import estimate_tokens

Item = TypeVar("Item")

THREADS = 8
MEASURED_THREADS = (1, 4, 16)
_SECONDS = 0.3  # of each measurement
_CONTENT = "The quick brown fox jumps over the lazy dog. " * 8  # 360 bytes: an ordinary message

ASSISTANTS = {
    "bikeshop": ("Mira", "You are Mira, who answers for Rivet & Spoke, a bicycle workshop. Be kind, exact and brief."),
    "homelab": ("Otis", "You are Otis, who knows a little about everything. Say so when you do not."),
}


class Talk(NamedTuple):
    """One conversation of the sample; *desk* is the project that it belongs to."""

    id: str
    desk: str
    metadata: dict[str, Any]
    messages: list[dict[str, str]]


class Stored(NamedTuple):
    """What storing took: messages, seconds, and the median of one append in seconds."""

    messages: int
    seconds: float
    median: float


class Check(NamedTuple):
    """One promise, and whether it was kept."""

    name: str
    ok: bool


class Rate(NamedTuple):
    """Appends of one project from so many threads: how many a second, and the seconds that one takes."""

    threads: int
    per_second: float
    median: float
    p99: float


class Measured(NamedTuple):
    """What :func:`measure` found, in seconds.

    :ivar rates: appending, by threads.
    :ivar window: reading the newest 20 messages.
    :ivar open: opening a project that exists, first read included.
    :ivar create: making a project with all its tables, first row included.
    """

    rates: list[Rate]
    window: float
    open: float
    create: float


def load_sample() -> list[Talk]:
    """Read the bundled conversations."""
    from importlib.resources import files

    text = files("peewee_conv").joinpath("demo_data", "sample.jsonl").read_text(encoding="utf-8")
    found = [json.loads(line) for line in text.splitlines()]
    return [Talk(talk["id"], talk["metadata"]["desk"], talk["metadata"], talk["messages"]) for talk in found]


def create_projects(root: str) -> dict[str, Project]:
    """Make one project for each desk below *root*."""
    projects = Projects(root, count_tokens=estimate_tokens)
    return {desk: projects.create(desk) for desk in sorted(ASSISTANTS)}


def create_assistants(projects: Mapping[str, Project]) -> dict[str, Assistant]:
    """Store the assistant of each desk in its project."""
    return {
        desk: projects[desk].assistants.create(name=name, instructions=instructions, model="none")
        for desk, (name, instructions) in ASSISTANTS.items()
    }


def store(projects: Mapping[str, Project], talks: Iterable[Talk]) -> Stored:
    """Append every message by itself, from :data:`THREADS` threads, each of which writes to every project."""
    assistants = create_assistants(projects)

    def store_one(talk: Talk) -> list[float]:
        conversations = projects[talk.desk].conversations
        conversations.create(id=talk.id, assistant_id=assistants[talk.desk].id, metadata=talk.metadata)
        return [_timed(conversations.add_message, talk.id, said["role"], said["content"]) for said in talk.messages]

    # One of each desk in turn, so that neighbours in the queue belong to different projects.
    ordered = [talk for pair in zip(*_by_desk(talks).values(), strict=True) for talk in pair]
    started = time.perf_counter()
    taken = _in_threads(THREADS, store_one, ordered)
    return Stored(len(taken), time.perf_counter() - started, _median(taken))


def _by_desk(talks: Iterable[Talk]) -> dict[str, list[Talk]]:
    found: dict[str, list[Talk]] = {}
    for talk in talks:
        found.setdefault(talk.desk, []).append(talk)
    return found


def _in_threads(threads: int, work: Callable[[Item], list[float]], items: Iterable[Item]) -> list[float]:
    """Do *work* on each item from so many threads at once and return all that it took; its errors are raised here."""
    from concurrent.futures import ThreadPoolExecutor  # here: every command imports this module

    with ThreadPoolExecutor(threads) as pool:
        return [seconds for of_one in pool.map(work, items) for seconds in of_one]


def _median(taken: list[float]) -> float:
    return sorted(taken)[len(taken) // 2]


def _timed(work: Callable[..., object], *args: object) -> float:
    started = time.perf_counter()
    work(*args)
    return time.perf_counter() - started


# --- is it all there, and nothing else? ---


def verify(projects: Mapping[str, Project], talks: Iterable[Talk]) -> list[Check]:
    """Compare what the projects hold with the sample, message by message."""
    expected = {
        desk: {talk.id: [(message["role"], message["content"]) for message in talk.messages] for talk in of_desk}
        for desk, of_desk in _by_desk(talks).items()
    }
    stored = {desk: _read_all(project) for desk, project in projects.items()}
    contents = [{content for talk in of_desk.values() for _, content in talk} for of_desk in stored.values()]
    return [
        Check("every message is there, byte for byte, in its order", stored == expected),
        Check("no message of one project is in the other", not set.intersection(*contents)),
        Check("the messages of each conversation are numbered 1, 2, 3, ...", all(map(_is_numbered, projects.values()))),
        Check("the counts of the list are those of the messages", all(map(_is_counted, projects.values()))),
        Check("each project has a file of its own", len({p.database_path() for p in projects.values()}) == len(stored)),
        Check("a search in one project never finds the other", _search_is_apart(projects, expected)),
    ]


def _read_all(project: Project) -> dict[str, list[tuple[str, str]]]:
    return {
        talk.id: [(message.role, message.content) for message in project.conversations.iterate(talk.id)]
        for talk in project.conversations.list(limit=1000)
    }


def _is_numbered(project: Project) -> bool:
    talks = project.conversations.list(limit=1000)
    numbers = [[message.sequence for message in project.conversations.iterate(talk.id)] for talk in talks]
    return all(found == list(range(1, len(found) + 1)) for found in numbers)


def _is_counted(project: Project) -> bool:
    talks = project.conversations.list(limit=1000)
    return all(talk.message_count == len(list(project.conversations.iterate(talk.id))) for talk in talks)


def _search_is_apart(projects: Mapping[str, Project], expected: Mapping[str, Mapping[str, object]]) -> bool:
    found = {
        desk: {hit.message.conversation_id for hit in project.conversations.search("the OR a OR you", limit=1000)}
        for desk, project in projects.items()
    }
    return all(ids and ids <= expected[desk].keys() for desk, ids in found.items())


# --- how fast is it here? ---


def measure(root: str) -> Measured:
    """Measure in projects of its own below *root*, each for a moment."""
    project = Project(f"{root}/measured")
    try:
        rates = [_measure_appends(project, threads) for threads in MEASURED_THREADS]
        newest = project.conversations.list(limit=1)[0].id
        window = _median([_timed(project.conversations.context, newest) for _ in range(200)])
    finally:
        project.dispose()
    return Measured(rates, window, _measure_open(f"{root}/measured"), _measure_create(root))


def _measure_appends(project: Project, threads: int) -> Rate:
    ids = [project.conversations.create().id for _ in range(threads)]
    started = time.perf_counter()

    def append(conversation_id: str) -> list[float]:
        taken = []
        while time.perf_counter() < started + _SECONDS:
            taken.append(_timed(project.conversations.add_message, conversation_id, "user", _CONTENT))
        return taken

    taken = sorted(_in_threads(threads, append, ids))
    elapsed = time.perf_counter() - started
    return Rate(threads, len(taken) / elapsed, _median(taken), taken[len(taken) * 99 // 100])


def _measure_open(path: str) -> float:
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        project = Project(path)
        project.conversations.list(limit=1)
        taken.append(time.perf_counter() - started)
        project.dispose()
    return _median(taken)


def _measure_create(root: str) -> float:
    taken = []
    for number in range(3):
        project = Project(f"{root}/new-{number}")
        taken.append(_timed(project.conversations.create))
        project.dispose()
    return _median(taken)

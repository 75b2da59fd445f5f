"""Every verb of every service with hostile arguments: it works, or refuses with an error of ours and writes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from fuzz_values import Maker, Outcome, Target, json_value, moment, odd, outcome, text

from peewee_conv import Project
from peewee_conv.clock import utc_now
from peewee_conv.database.handle import Handle
from peewee_conv.models import User
from peewee_conv.records import Conversation, Message
from peewee_conv.schemas import assistant, features

SERVICES: Final = ("assistants", "conversations", "accounts", "datasets", "usage", "features", "schedules")
_STATE: Final = {
    assistant: "SELECT "
    + ", ".join(
        f"(SELECT count(*) FROM {table})"
        for table in ("assistants", "conversations", "messages", "users", "sessions", "referral_keys", "datasets")
    )
    + ", (SELECT count(*) FROM token_usage), (SELECT total(last_sequence) FROM conversations)",
    features: "SELECT (SELECT count(*) FROM features), (SELECT count(*) FROM schedules),"
    " (SELECT count(*) FROM schedule_overrides)",
}


def _ids(letter: str) -> Maker:
    return lambda chance: f"{letter}{chance.randrange(1, 6)}"


def _whole(low: int, high: int) -> Maker:
    return lambda chance: chance.randint(low, high)


def _one_of(*values: Any) -> Maker:
    return lambda chance: chance.choice(values)


def _either(usual: Maker, rare: Maker) -> Maker:
    return lambda chance: (usual if chance.random() < 0.8 else rare)(chance)


_words = _one_of("market", "outlook", "night train", "Grüße", "a", "x" * 60, "日本 😀", "é\0b")
_no_or: Callable[[Maker], Maker] = lambda maker: lambda chance: maker(chance) if chance.random() < 0.5 else None  # noqa: E731


def _message(chance: Random) -> Any:
    made = {"role": chance.choice(("user", "assistant", "tool", "system")), "content": _words(chance)}
    for name in ("token_count", "metadata", "external_id", "created_at"):
        if chance.random() < 0.2:
            made[name] = value_of("", name, chance)
    return _spoilt(chance, made)


def _spoilt(chance: Random, made: dict[str, Any]) -> Any:
    """Return a mapping that sometimes lacks a key, has a strange one, or a strange value."""
    pick = chance.random()
    if pick < 0.05:
        made.pop(chance.choice(tuple(made)))
    elif pick < 0.1:
        made[text(chance)] = odd(chance)
    elif pick < 0.2:
        made[chance.choice(tuple(made))] = odd(chance)
    elif pick < 0.22:
        return odd(chance)
    return made


def _profile(chance: Random) -> Any:
    return _spoilt(chance, {"google_id": _ids("g")(chance), "email": "a@example.com", "name": _words(chance)})


def _item(chance: Random) -> Any:
    made: dict[str, Any] = {"name": _words(chance)}
    for name in ("category", "description", "steps", "priority", "dependencies"):
        if chance.random() < 0.2:
            made[name] = value_of("features", name, chance)
    if chance.random() < 0.2:
        made["depends_on_indices"] = [0]
    return _spoilt(chance, made)


def _field(chance: Random) -> Any:
    kind = chance.choice(("text", "textarea", "select", "boolean"))
    made: dict[str, Any] = {"id": _ids("f")(chance), "label": "L", "type": kind}
    if kind == "select":
        made["options"] = [{"value": "a", "label": "A"}]
    return _spoilt(chance, made)


def _many(maker: Maker) -> Maker:
    return lambda chance: [maker(chance) for _ in range(chance.randrange(4))]


def _keyset(chance: Random) -> Any:
    return chance.choice(
        (None, '["2026-01-02T03:04:05.678901Z", 1]', '["~", "~"]', "[1, 2]", "[0, 99]", '["a", 9e99]', "[]", "{}", "1")
    )


_NUMBERED: Final = _whole(1, 30)  # the ids of features and schedules
_VALID: Final[dict[str, Maker]] = {
    "absolute_seconds": _whole(1, 1000),
    "after": _keyset,
    "answers": lambda chance: {_ids("f")(chance): chance.choice(("a", True, ""))},
    "assistant_id": _no_or(_ids("a")),
    "batch": _whole(1, 5),
    "before": _no_or(_whole(0, 9)),
    "by": _one_of("user", "model", "day", "conversation"),
    "category": _words,
    "column_count": _whole(0, 9),
    "content": _words,
    "conversation_id": _ids("c"),
    "count_tokens": _one_of(None, len, lambda content: 1, lambda content: "x", lambda content: -1, print),
    "created_at": _no_or(moment),
    "created_by": _no_or(_ids("u")),
    "dataset_id": _ids("d"),
    "days_of_week": _whole(0, 127),
    "dependencies": _many(_NUMBERED),
    "dependency_id": _NUMBERED,
    "description": _words,
    "duration_minutes": _whole(1, 1440),
    "enabled": _one_of(True, False),
    "expires_at": _no_or(moment),
    "external_id": _no_or(_ids("e")),
    "feature_id": _NUMBERED,
    "fields": _many(_field),
    "id": _no_or(_either(_ids("c"), _ids("d"))),
    "idle_seconds": _whole(1, 1000),
    "input_tokens": _whole(0, 1000),
    "instructions": _words,
    "items": _many(_item),
    "keep": _whole(0, 20),
    "key": text,
    "limit": _whole(1, 50),
    "limit_tokens": _whole(1, 10**6),
    "marks": _one_of(("[", "]"), ("<b>", "</b>")),
    "max_concurrency": _whole(1, 5),
    "max_messages": _no_or(_whole(1, 9)),
    "max_tokens": _no_or(_whole(0, 99)),
    "message": _words,
    "messages": _many(_message),
    "metadata": lambda chance: chance.choice((None, {}, {"a": [1, None]}, {text(chance): json_value(chance)})),
    "model": _words,
    "model_name": _words,
    "name": _words,
    "now": _no_or(moment),
    "number": _no_or(_whole(1, 9)),
    "older_than_seconds": _whole(0, 9),
    "order": _one_of("activity", "created"),
    "output_tokens": _whole(0, 1000),
    "override_id": _NUMBERED,
    "override_type": _one_of("start", "stop"),
    "pin": _one_of((), "system", ("developer", "instructions")),
    "prices": lambda chance: chance.choice((None, {"market": (1.0, 2)}, {_words(chance): odd(chance)})),
    "priority": _no_or(_whole(-9, 99)),
    "profile": _profile,
    "project_name": _no_or(_words),
    "prompt": _words,
    "query": _either(_words, text),
    "referral_key": _no_or(text),
    "renew_seconds": _whole(0, 9),
    "role": _one_of("system", "user", "assistant", "tool", "developer"),
    "row_count": _whole(0, 99),
    "schedule_id": _NUMBERED,
    "schema": _many(json_value),
    "sequence": _whole(1, 30),
    "since": _no_or(moment),
    "start_time": _one_of("00:00", "23:59", "12:30"),
    "status": _one_of(None, "passing", "in_progress", "needs_human_input", "open"),
    "steps": _many(_words),
    "text": _words,
    "timestamp": _no_or(moment),
    "title": _no_or(_words),
    "token": text,
    "token_count": _no_or(_whole(0, 99)),
    "until": _no_or(moment),
    "url": _either(_one_of("https://example.com/1", "http://example.com/2"), text),
    "user_id": _no_or(_ids("u")),
    "warning_percent": _whole(1, 100),
    "window_seconds": _whole(1, 10**6),
    "yolo_mode": _one_of(True, False),
}


def value_of(service: str, name: str, chance: Random) -> Any:
    """Return a value for an argument: mostly one that it was made for."""
    if service == "messages" or chance.random() < 0.15:
        return odd(chance)
    if service == "conversations" and name in ("after",) and chance.random() < 0.5:
        return chance.randrange(9)
    return _VALID[name](chance)


def verbs() -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield service, verb, needed and optional arguments of everything public."""
    from importlib import import_module

    for service in SERVICES:
        kind = getattr(import_module(f"peewee_conv.services.{service}"), service.capitalize())
        for name, member in inspect.getmembers(kind, inspect.isfunction):
            if name.startswith("_"):
                continue
            given = list(inspect.signature(member).parameters.values())[1:]
            needed = [each.name for each in given if each.default is each.empty]
            yield service, name, needed, [each.name for each in given if each.default is not each.empty]


VERBS: Final = list(verbs())


class Services:
    """A project, and calls of its services; what is refused leaves the counts of its rows as they were."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._handles = {schema: Handle(project._binding, schema) for schema in _STATE}
        _furnish(project)
        self._before = {schema: self._state(schema) for schema in _STATE}

    def _state(self, schema: Any) -> Any:
        return self._handles[schema].read(lambda connection: connection.execute(_STATE[schema]).fetchone())

    def __call__(self, chance: Random) -> None:
        service, verb, needed, optional = chance.choice(VERBS)
        names = [*needed, *(name for name in optional if chance.random() < 0.25)]
        given = {name: value_of(service, name, chance) for name in names}
        schema = features if service in ("features", "schedules") else assistant
        found = outcome(self._call, service, verb, given)
        after = self._state(schema)
        if found.error is not None:
            assert after == self._before[schema], f"{service}.{verb} wrote something and raised {found.error!r}"
        else:
            self._check(service, verb, given, found)
        self._before[schema] = after

    def _call(self, service: str, verb: str, given: dict[str, Any]) -> Any:
        found = getattr(getattr(self._project, service), verb)(**given)
        return list(found) if verb == "iterate" else found

    def _check(self, service: str, verb: str, given: dict[str, Any], found: Outcome) -> None:
        """What a write has returned is what is read afterwards."""
        record = found.result
        if verb in ("create", "update") or (service, verb) == ("datasets", "add"):
            assert getattr(self._project, service).get(record.id) == record
        elif verb in ("add_message", "begin_message", "extend_message", "finish_message"):
            assert isinstance(record, Message)
            (stored,) = self._project.conversations.messages(record.conversation_id, after=record.sequence - 1, limit=1)
            assert stored == record
            if verb == "add_message":
                assert record.content == given["content"]
        elif verb == "add_messages":
            assert [message.content for message in record] == [each["content"] for each in given["messages"]]
        elif isinstance(record, Conversation):
            assert self._project.conversations.get(record.id) == record


def _furnish(project: Project) -> None:
    times = dict.fromkeys(("created_at", "last_login_at"), utc_now())
    with project:  # the service gives users ids of its own
        for place in range(1, 6):
            User.create(id=f"u{place}", google_id=f"g{place}", email="a@example.com", name="Ada", **times)
    for place in range(1, 6):
        project.assistants.create("Aurora", "You analyse markets.", id=f"a{place}")
        project.accounts.create_session(f"u{place}")
        project.conversations.create(id=f"c{place}", assistant_id=f"a{place}")
        project.conversations.add_message(f"c{place}", "user", "What's the market outlook?")
        project.conversations.begin_message(f"c{place}")
        project.datasets.add(f"c{place}", "https://example.com/0", id=f"d{place}")
        project.features.create(f"Feature {place}")
        project.schedules.create("23:00", 120)


def services(project: Project) -> Target:
    """Return the target of all services of a project that has nothing yet."""
    return Services(project)

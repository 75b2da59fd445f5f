"""How a project's databases are kept: one immutable value, checked when it is made.

>>> Settings.of(durability="normal").durability
'normal'
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .clock import now_text
from .errors import InvalidArgument
from .named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    Durability = Literal["full", "normal"]
    JournalMode = Literal["auto", "wal", "delete"]


class Settings(NamedTuple):
    """What :class:`~peewee_conv.Project` takes as keyword arguments; every field has a default.

    :param durability: ``"full"``: an acknowledged write survives a power cut; ``"normal"``: it survives a killed
        process always, a power cut perhaps not, and the file stays sound.
    :param busy_timeout_ms: how long a writer waits for another one, in milliseconds, before ``DatabaseBusy``.
    :param journal_mode: ``"auto"`` asks the file system; ``"wal"`` and ``"delete"`` overrule it.
    :param data_dir: the folder below the project that holds new files.
    :param group_commit: concurrent writers of this process share commits.
    :param keep_copies: keep a copy of the file before an upgrade that rewrites tables.
    :param warn_size_bytes: a file that grows past so many bytes is warned of, once; ``None`` for never.
    :param max_content_bytes: the largest message, in bytes of UTF-8.
    :param count_tokens: counts the tokens of a text that is stored without a count; ``None`` stores no count.
    :param now: returns the current time in the form that is stored; tests replace it.
    """

    durability: Durability = "full"
    busy_timeout_ms: int = 30_000
    journal_mode: JournalMode = "auto"
    data_dir: str = ".peewee_conv"
    group_commit: bool = True
    keep_copies: bool = True
    warn_size_bytes: int | None = 1_000_000_000
    max_content_bytes: int = 16 * 1024 * 1024
    count_tokens: Callable[[str], int] | None = None
    now: Callable[[], str] = now_text

    @classmethod
    def of(cls, **values: Any) -> Settings:
        """Return settings with *values* in place of the defaults.

        :raises InvalidArgument: a name is unknown, or a value is not allowed.
        """
        for name, value in values.items():
            allowed = _RULES.get(name)
            if allowed is None:
                raise InvalidArgument("setting", name, "one of " + ", ".join(cls._fields))
            if not allowed[0](value):
                raise InvalidArgument(name, value, allowed[1])
        return cls(**values)


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


def _whole_or_none(low: int, high: int) -> Callable[[Any], bool]:
    is_whole = _whole(low, high)
    return lambda value: value is None or is_whole(value)


def _one_of(*values: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in values


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_folder_name(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value)) and value.strip(".") != ""


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "durability": (_one_of("full", "normal"), "'full' or 'normal'"),
    "busy_timeout_ms": (_whole(0, 3_600_000), "milliseconds from 0 to 3600000"),
    "journal_mode": (_one_of("auto", "wal", "delete"), "'auto', 'wal' or 'delete'"),
    "data_dir": (_is_folder_name, "one folder name of letters, digits, '.', '_' or '-'"),
    "group_commit": (_is_bool, "True or False"),
    "keep_copies": (_is_bool, "True or False"),
    "warn_size_bytes": (_whole_or_none(1, 2**63 - 1), "bytes from 1, or None"),
    "max_content_bytes": (_whole(1, 1_000_000_000), "bytes from 1 to 1000000000"),
    "count_tokens": (lambda value: value is None or callable(value), "a callable from str to int, or None"),
    "now": (callable, "a callable that returns the time as stored text"),
}

"""Ids of rows: new ones that sort by age, and the check of those that callers bring along.

A new id is a UUID of version 7 (RFC 9562): 48 bits of Unix milliseconds, a counter of 12 bits that starts anew at
random in each millisecond, and 62 random bits. Within a process ids only ever grow, whatever the clock does.
They are unique, not secret: never use one as a token.

>>> check_id("conversation_id", "c-17")
'c-17'
"""

from __future__ import annotations

import os
import re
from threading import RLock
from time import time_ns

from .errors import InvalidArgument

_MAX_LENGTH = 255
_ALLOWED = "a text of 1 to 255 characters, none of them a control character or a lone surrogate"
_FORBIDDEN = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"  # compiled for the first id that needs it: few do

# Milliseconds and counter of the last id in one integer: a counter that is full carries over into the milliseconds.
_last = 0
# Re-entrant, so that a signal handler or a finalizer that asks for an id in the middle of one does not hang.
_lock = RLock()


def new_id() -> str:
    """Return a new UUID of version 7 as text, greater than every id this process made before.

    Not the standard library's: that one needs Python 3.14, and importing ``uuid`` costs more than this module.
    """
    global _last
    milliseconds = time_ns() // 1_000_000
    random = os.urandom(10)
    with _lock:
        if milliseconds > _last >> 12:
            _last = milliseconds << 12 | _counter_start(random)
        else:  # the same millisecond, or the clock went back
            _last += 1
        stamp = f"{_last:015x}"
    digits = random.hex()
    variant = "89ab"[random[0] >> 6]
    return f"{stamp[:8]}-{stamp[8:12]}-7{stamp[12:]}-{variant}{digits[1:4]}-{digits[4:16]}"


def check_id(argument: str, value: object) -> str:
    """Return *value* if it can be an id.

    :param argument: the name of the argument it came in by, for the error.
    :param value: the caller's id.
    :raises InvalidArgument: it is no text, is empty or longer than 255 characters, or holds a control character (NUL
        among them) or a lone surrogate, which SQLite, logs and terminals do not take.
    """
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_LENGTH:
        raise InvalidArgument(argument, value, _ALLOWED)
    if not value.isprintable() and re.search(_FORBIDDEN, value):  # isprintable() alone would refuse joined emoji
        raise InvalidArgument(argument, value, _ALLOWED)
    return value


def _counter_start(random: bytes) -> int:
    # Eleven bits: at least half of the counter is left to count in. They are not among those that new_id() prints.
    return (random[8] << 8 | random[9]) & 0x7FF


def _part_from_parent() -> None:
    """After a fork: leave the parent's millisecond, so that no id of the one can be an id of the other."""
    global _last, _lock
    _lock = RLock()  # the old one may be held, for ever, by a thread that the fork left behind
    _last = (_last >> 12) + 1 << 12 | _counter_start(os.urandom(10))


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_part_from_parent)

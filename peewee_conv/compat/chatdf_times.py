"""Times in the caller's own SQL: naive ISO 8601 for ChatDF, aware and of one width in our tables.

A parameter is a time if it is compared with, set to or inserted into a column that holds times, in a statement on our
tables. What callers keep in tables of their own stays as it is.

>>> sql = "UPDATE conversations SET title = ?, updated_at = ? WHERE id = ?"
>>> stored(sql, ("Gold", "2026-03-01T12:00:00", "c-17"))
('Gold', '2026-03-01T12:00:00.000000Z', 'c-17')
>>> shown(["id", "updated_at"], ("c-17", "2026-03-01T12:00:00.000000Z"))
('c-17', '2026-03-01T12:00:00')
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..clock import from_text
from ..errors import InvalidArgument
from .caller_sql import CONVERSATION_TABLES
from .caller_times import TIMES, stored_time
from .naive_times import iso

_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"[^\"]*\"|\[[^\]]*\]|`[^`]*`|--[^\n]*|/\*.*?\*/|\?\d*|[:@$]\w+|\w+|[^\s\w]", re.DOTALL
)
_AROUND_A_VALUE = [["(", ")"], ["(", ","], [",", ","], [",", ")"]]
_COMPARES = frozenset(("=", "<", ">", "!", "IS", "NOT", "BETWEEN"))
_QUOTES = '"[`'

Parameters = Sequence[Any] | Mapping[str, Any]


def stored(sql: str, params: Parameters) -> Parameters:
    """Return the parameters of a statement with their times as our tables have them.

    :raises InvalidArgument: a parameter stands for a time and is none; or these are no parameters.
    """
    if not isinstance(params, (Sequence, Mapping)):
        raise InvalidArgument("parameters", params, "a sequence, or a mapping for named ones")
    keys = time_parameters(sql)
    if not keys:
        return params
    if isinstance(params, Mapping):
        return {name: stored_time(name, value) if name in keys else value for name, value in params.items()}
    return tuple(stored_time("parameter", value) if place in keys else value for place, value in enumerate(params))


def shown(names: Sequence[str], row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row as ChatDF has it: times naive, and the title of an untitled conversation empty."""
    return tuple(_shown(name, value) for name, value in zip(names, row, strict=True))


def _shown(name: str, value: Any) -> Any:
    if name == "title":
        return "" if value is None else value
    if name in TIMES and isinstance(value, str) and len(value) == 27 and value.endswith("Z"):
        return iso(from_text(value, name))
    return value


@functools.lru_cache(maxsize=256)
def time_parameters(sql: str) -> frozenset[int | str]:
    """Return the places, from 0, or the names of the parameters that stand for times.

    >>> sorted(time_parameters("INSERT INTO users (id, created_at) VALUES (?, ?)"))
    [1]
    >>> time_parameters("SELECT * FROM token_usage WHERE timestamp > :since")
    frozenset({'since'})
    """
    tokens = _tokens(sql)
    if CONVERSATION_TABLES.isdisjoint(map(str.lower, tokens)):
        return frozenset()
    columns = _compared(tokens) | _inserted(tokens)
    found: set[int | str] = set()
    count = 0
    for place, token in enumerate(tokens):
        if not _is_parameter(token):
            continue
        if columns.get(place, "").lower() in TIMES:
            found.add(token[1:] if token[0] != "?" else int(token[1:] or count + 1) - 1)
        count += 1
    return frozenset(found)


@functools.lru_cache(maxsize=256)
def has_its_own(sql: str) -> bool:
    """Say whether a statement may set a time otherwise than by a parameter.

    >>> has_its_own("UPDATE users SET last_login_at = ?"), has_its_own("UPDATE users SET last_login_at = datetime()")
    (False, True)
    """
    named = sum(token.lower() in TIMES for token in _tokens(sql))
    return not named or named != len(time_parameters(sql))


def _tokens(sql: str) -> list[str]:
    return [_name_in(token) for token in _TOKEN.findall(sql) if not token.startswith(("--", "/*"))]


def _name_in(token: str) -> str:
    return token[1:-1] if token[0] in _QUOTES and token[1:-1].isidentifier() else token


def _is_parameter(token: str) -> bool:
    return token[0] == "?" or (token[0] in ":@$" and len(token) > 1)


def _compared(tokens: list[str]) -> dict[int, str]:
    """Return the column before ``= ?``, ``>= ?``, ``BETWEEN ? AND ?`` and the like, by the place of the parameter."""
    found = {}
    for place, token in enumerate(tokens):
        if not _is_parameter(token):
            continue
        before = place - 1
        if [each.upper() for each in tokens[max(0, place - 3) : place : 2]] == ["BETWEEN", "AND"]:
            before = place - 3
        while before >= 0 and tokens[before].upper() in _COMPARES:
            before -= 1
        if 0 <= before < place - 1:
            found[place] = tokens[before]
    return found


def _inserted(tokens: list[str]) -> dict[int, str]:
    """Return the column of each value that is a parameter alone, in ``INSERT INTO t (columns) VALUES (values)``."""
    upper = [token.upper() for token in tokens]
    into = upper.index("INTO") if "INTO" in upper else len(upper)
    values = upper.index("VALUES", into) if "VALUES" in upper[into:] else into
    if "(" not in tokens[into:values]:
        return {}
    columns = [token for token in tokens[tokens.index("(", into) : values] if token not in ("(", ")", ",")]
    found, depth, column = {}, 0, 0
    for place in range(values + 1, len(tokens)):
        token = tokens[place]
        depth += (token == "(") - (token == ")")
        if token == "(" and depth == 1:
            column = 0
        elif token == "," and depth == 1:
            column += 1
        elif depth == 1 and column < len(columns) and tokens[place - 1 : place + 2 : 2] in _AROUND_A_VALUE:
            found[place] = columns[column]
    return found

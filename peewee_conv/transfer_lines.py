"""Reading a source of conversations: line by line, within limits, and JSON in its strict form."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from typing import IO, Any, Final, NamedTuple, NoReturn

from .drafts import path_of, refuse_live
from .errors import ImportRejected, InvalidArgument

#: What is read from: a path, or something open for reading.
Source = str | os.PathLike[str] | IO[bytes] | IO[str]
_BOM: Final = b"\xef\xbb\xbf"


class Limits(NamedTuple):
    """How large a source may be, in bytes of UTF-8."""

    whole: int
    line: int


def name_of(source: object) -> str:
    """Return what errors call a source."""
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else f"<{type(source).__name__}>"


def lines_of(source: Source, limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers, from 1; a byte order mark before the first is dropped.

    :raises ImportRejected: it cannot be read, or is larger than allowed.
    """
    name, total = name_of(source), 0
    try:
        with _open(source) as stream:
            for number, data in enumerate(_raw_lines(stream, limits.line), 1):
                total += len(data)
                if len(data) > limits.line:
                    raise ImportRejected(name, number, f"the line is longer than {limits.line} bytes (max_line_bytes)")
                if total > limits.whole:
                    raise ImportRejected(name, number, f"the source is larger than {limits.whole} bytes (max_bytes)")
                yield number, data.removeprefix(_BOM) if number == 1 else data
    except OSError as error:
        raise ImportRejected(name, None, f"it cannot be read ({error.strerror or error})") from error
    except UnicodeError as error:  # a stream of text, with a codec of its own
        raise ImportRejected(name, None, f"it is not valid text ({error})") from error


def _open(source: Source) -> Any:
    if isinstance(source, str | os.PathLike):
        path = path_of("source", source)
        refuse_live("source", path)
        return open(path, "rb")
    if not hasattr(source, "readline"):
        raise InvalidArgument("source", source, "a path, or something open for reading")
    return nullcontext(source)


def _raw_lines(stream: IO[Any], limit: int) -> Iterator[bytes]:
    while line := stream.readline(limit + 1):
        yield line.encode() if isinstance(line, str) else line


def json_lines(source: Source, limits: Limits) -> Iterator[tuple[int, Any]]:
    """Yield the JSON values with the numbers of their lines; blank lines are nothing.

    :raises ImportRejected: a line is not one value of strict JSON.
    """
    for number, data in lines_of(source, limits):
        if not data.strip():
            continue
        try:
            yield number, _DECODER.decode(data.decode())
        except UnicodeDecodeError as error:
            raise ImportRejected(name_of(source), number, f"byte {error.start + 1} is not valid UTF-8") from error
        except (ValueError, RecursionError) as error:
            raise ImportRejected(name_of(source), number, f"it is not valid JSON ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, character {error.pos + 1}"
    return str(error)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:50]!r} occurs twice")
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def decode(text: str) -> Any:
    """Return the value of strict JSON.

    :raises ValueError: it is none.
    """
    return _DECODER.decode(text)

"""What the commands print on: lines, tables and JSON on standard output, errors and notes on standard error."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, TextIO

from .text import cells, harmless, one_line, pad, shorten

_CODES: Final = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}
_LEAST = 12  # cells that a column keeps when a table has to shrink
_GAP = "  "
# JSON allows these as they are, a terminal obeys them. They can only stand inside strings, where \u is understood.
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Column(NamedTuple):
    """One column of a table.

    :ivar right: numbers are aligned on the right.
    :ivar may_shrink: its cells are cut where the table is wider than the terminal.
    :ivar may_go: it is left out where the table is wider than the terminal.
    """

    title: str
    right: bool = False
    may_shrink: bool = False
    may_go: bool = False


class Console:
    """Where one run of the command writes.

    :param as_json: the answer is one JSON document; :meth:`say` keeps still.
    :param quiet: :meth:`say` keeps still.
    :ivar debug: an error comes with its traceback.
    """

    def __init__(self, stdout: TextIO, stderr: TextIO, *, as_json: bool = False, quiet: bool = False) -> None:
        self.stdout, self.stderr = stdout, stderr
        self.as_json, self.quiet = as_json, quiet
        self.debug = os.environ.get("PEEWEE_CONV_DEBUG", "") not in ("", "0")
        self.is_terminal = _is_terminal(stdout)
        self._colours = self.is_terminal and _wants_colours()

    @property
    def width(self) -> int | None:
        """The columns of the terminal; ``None`` where lines may be as long as they are."""
        return shutil.get_terminal_size().columns if self.is_terminal else None

    def style(self, text: str, *names: str) -> str:
        """Return *text* in colours and weights, where they are shown."""
        if not self._colours or not text or not names:
            return text
        return f"\x1b[{';'.join(str(_CODES[name]) for name in names)}m{text}\x1b[0m"

    # --- standard output ---

    def line(self, text: str = "") -> None:
        """Print a line that was made harmless already."""
        _write(self.stdout, text + "\n")

    def content(self, text: str) -> str:
        """Return stored text as it may be printed: as it is into a file, harmless on a terminal."""
        return harmless(text) if self.is_terminal else text

    def say(self, text: str = "") -> None:
        """Print what a person wants to know and a script does not."""
        if not self.as_json and not self.quiet:
            self.line(text)

    def json(self, value: Any) -> None:
        """Print the answer for a machine."""
        is_unicode = (self.stdout.encoding or "").lower().startswith("utf")
        self.line(_UNSAFE_IN_JSON.sub(_escape, json.dumps(value, ensure_ascii=not is_unicode, indent=2)))

    def table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]], indent: str = "") -> None:
        """Print rows below their titles, aligned, and cut to fit a terminal."""
        texts = [[one_line(str(value)) for value in row] for row in rows]
        for line in self._table_lines(columns, texts, indent):
            self.line(indent + line)

    def _table_lines(self, columns: Sequence[Column], texts: list[list[str]], indent: str) -> Iterable[str]:
        widths = [
            max(cells(cell) for cell in cell_of) for cell_of in zip(*([c.title for c in columns], *texts), strict=True)
        ]
        kept = list(range(len(columns)))
        if self.width is not None:
            _fit(columns, widths, kept, self.width - len(indent) - 1)
        for number, row in enumerate([[column.title for column in columns], *texts]):
            padded = [pad(shorten(row[at], widths[at]), widths[at], right=columns[at].right) for at in kept]
            yield self.style(_GAP.join(padded).rstrip(), *(("bold",) if not number else ()))

    def pairs(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print names and values, one pair a line."""
        shown = list(pairs)
        width = max(cells(name) for name, _ in shown)
        for name, value in shown:
            self.line(f"{self.style(pad(name, width), 'dim')}  {one_line(str(value))}")

    # --- standard error ---

    def error(self, text: str) -> None:
        """Print an error as one sentence, also where the error is that standard output cannot be written."""
        try:
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError:
            silence(self.stdout)
        try:
            _write(self.stderr, f"peewee-conv: {one_line(text)}\n")
            self.stderr.flush()
        except OSError:  # nobody is left to tell
            silence(self.stderr)

    def note(self, text: str) -> None:
        """Print something that does not belong to the answer."""
        if not self.quiet:
            _write(self.stderr, one_line(text) + "\n")

    def flush(self) -> None:
        """Hand everything over, so that a reader who has gone is noticed here."""
        self.stdout.flush()
        self.stderr.flush()


def silence(stream: TextIO) -> None:
    """Let a stream that cannot be written lead nowhere, or Python would complain at its end of what is left in it."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # no real file behind it: a test, or an embedding program


def _fit(columns: Sequence[Column], widths: list[int], kept: list[int], room: int) -> None:
    """Make a table fit: shrink what may shrink, but leave columns out before it becomes unreadable."""

    def excess() -> int:
        return sum(widths[at] for at in kept) + len(_GAP) * (len(kept) - 1) - room

    def slack() -> int:
        return sum(max(0, widths[at] - 3 * _LEAST) for at in kept if columns[at].may_shrink)

    for at in reversed(range(len(columns))):
        if columns[at].may_go and excess() > slack():
            kept.remove(at)
    while excess() > 0:
        widest = max((at for at in kept if columns[at].may_shrink), key=lambda at: widths[at], default=None)
        if widest is None or widths[widest] <= _LEAST:
            return
        widths[widest] -= 1


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _wants_colours() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    # The old console of Windows prints the codes; its successor sets this.
    return sys.platform != "win32" or "WT_SESSION" in os.environ


def _write(stream: TextIO, text: str) -> None:
    """Write what the encoding of the stream can hold, and the rest as escapes: never fail halfway through a line."""
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"

"""Tables fit, colours and bars appear on terminals alone, and whatever the encoding, a line comes out."""

from __future__ import annotations

import io
import json

import pytest

from peewee_conv.cli.console import Column, Console
from peewee_conv.cli.progress import Progress
from peewee_conv.cli.text import cells

COLUMNS = [Column("No.", right=True), Column("title", may_shrink=True), Column("id", may_go=True)]
ROWS = [(1, "Short", "a-1"), (12, "自転車のチェーンがきしむのはどうしてですか", "0198f2f0-7d0e-7000-8000-000000000001")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("WT_SESSION", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)


def lines(console: Console) -> list[str]:
    assert isinstance(console.stdout, io.StringIO)
    return console.stdout.getvalue().splitlines()


# --- tables ---


def test_table_in_a_file_is_aligned_and_complete() -> None:
    console = Console(io.StringIO(), io.StringIO())

    console.table(COLUMNS, ROWS)

    assert lines(console) == [
        "No.  title                                       id",
        "  1  Short                                       a-1",
        " 12  自転車のチェーンがきしむのはどうしてですか  0198f2f0-7d0e-7000-8000-000000000001",
    ]


def test_table_on_a_terminal_leaves_a_column_out_rather_than_become_unreadable() -> None:
    console = Console(Terminal(), io.StringIO())

    console.table(COLUMNS, ROWS)

    assert lines(console)[2] == " 12  自転車のチェーンがきしむのはどうしてですか"


@pytest.mark.parametrize("width", [20, 30, 40, 60, 80, 120])
def test_table_on_a_terminal_fits(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(Terminal(), io.StringIO())

    console.table(COLUMNS, ROWS, indent="  ")

    assert max(map(cells, lines(console))) < width


def test_cells_of_a_table_are_one_harmless_line() -> None:
    console = Console(io.StringIO(), io.StringIO())

    console.table([Column("title")], [["two\nlines \x1b[2J"]])

    assert lines(console)[1] == "two lines \\x1b[2J"


# --- colours ---


def test_colours_are_for_terminals() -> None:
    assert Console(Terminal(), io.StringIO()).style("word", "bold") == "\x1b[1mword\x1b[0m"
    assert Console(io.StringIO(), io.StringIO()).style("word", "bold") == "word"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_switched_off(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)

    assert Console(Terminal(), io.StringIO()).style("word", "red") == "word"


# --- what is said, and to whom ---


@pytest.mark.parametrize("kind", ["as_json", "quiet"])
def test_remarks_are_neither_for_scripts_nor_for_the_quiet(kind: str) -> None:
    console = Console(io.StringIO(), io.StringIO(), **{kind: True})

    console.say("stored 3 conversations")

    assert lines(console) == []


def test_content_is_harmless_on_a_terminal_and_untouched_in_a_file() -> None:
    assert Console(Terminal(), io.StringIO()).content("\x1b[2J") == "\\x1b[2J"
    assert Console(io.StringIO(), io.StringIO()).content("\x1b[2J") == "\x1b[2J"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "utf-16"])
def test_json_can_be_read_back_whatever_the_encoding(encoding: str) -> None:
    value = {"text": "日本 é \x1b \x9b \u202e \u2028 🙂"}
    raw = io.BytesIO()
    console = Console(io.TextIOWrapper(raw, encoding=encoding), io.StringIO())

    console.json(value)
    console.flush()

    assert json.loads(raw.getvalue().decode(encoding)) == value


def test_json_has_nothing_that_a_terminal_obeys() -> None:
    console = Console(io.StringIO(), io.StringIO())

    console.json({"text": "\x1b[2J \x9b2J \u202e"})

    assert not {"\x1b", "\x9b", "\u202e"} & set("".join(lines(console)))


def test_line_that_the_encoding_cannot_hold_comes_out_with_escapes() -> None:
    raw = io.BytesIO()
    console = Console(io.TextIOWrapper(raw, encoding="ascii"), io.StringIO())

    console.line("café 日")
    console.flush()

    assert raw.getvalue().decode("ascii").strip() == "caf\\xe9 \\u65e5"


# --- progress ---


class Ticks:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def progress_on(stderr: io.StringIO, seconds: list[float], *, quiet: bool = False) -> str:
    clock = Ticks()
    with Progress(Console(io.StringIO(), stderr, quiet=quiet), "importing", clock) as progress:
        for done, at in enumerate(seconds, 1):
            clock.now = 100.0 + at
            progress(done, 4)
    return stderr.getvalue()


def test_short_work_shows_no_bar() -> None:
    assert progress_on(Terminal(), [0.1, 0.5, 0.9]) == ""


def test_long_work_shows_a_bar_on_a_terminal_and_takes_it_away() -> None:
    shown = progress_on(Terminal(), [0.5, 1.5, 3.0])

    assert "\rimporting [############............] 2 of 4 (50 %)" in shown
    assert shown.endswith(" \r")


def test_long_work_shows_a_plain_line_every_few_seconds_elsewhere() -> None:
    assert progress_on(io.StringIO(), [1.5, 6.0, 7.0, 11.5]) == (
        "importing: 2 of 4 (50 %)\nimporting: 4 of 4 (100 %)\n"
    )


def test_quiet_work_shows_nothing() -> None:
    assert progress_on(Terminal(), [2.0, 9.0], quiet=True) == ""


def test_progress_of_unknown_length_counts() -> None:
    clock, stderr = Ticks(), io.StringIO()
    progress = Progress(Console(io.StringIO(), stderr), "importing", clock)
    clock.now += 60

    progress(1234, 0)

    assert stderr.getvalue() == "importing: 1,234\n"

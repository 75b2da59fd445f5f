"""Which paths may be projects, which names may stand below a root, and where the files are."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peewee_conv import paths
from peewee_conv.errors import DatabaseCorrupt, InvalidArgument, InvalidProjectName

HOSTILE: list[Any] = [
    "",
    ".",
    "..",
    "...",
    ".hidden",
    "../up",
    "a/../../b",
    "a/b",
    "a\\b",
    "/etc/passwd",
    "C:\\x",
    "c:",
    "a..b",
    "a.",
    "a ",
    " a",
    "a\n",
    "a\0b",
    "a\tb",
    "~",
    "~root",
    "$HOME",
    "-rf",
    "_x",
    "a:b",
    "a*",
    "a?b",
    "a|b",
    "a%2e%2e",
    "é",
    "日本",
    "\u202eabc",
    "\ud800",
    "x" * 65,
    "CON",
    "con.txt",
    "Nul",
    "lpt1",
    "com9.db",
    "aux.tar.gz",
    None,
    7,
    b"bytes",
    ["a"],
    Path("a"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidProjectName, match="use 1 to 64 letters, digits"):
        paths.check_project_name(name)


@pytest.mark.parametrize("name", ["a", "A1", "my-project_2.0", "x" * 64, "console", "com10", "0", "a.b.c", "null"])
def test_an_ordinary_name_is_kept_as_it_is(name: str) -> None:
    assert paths.check_project_name(name) == name


@given(st.text())
def test_a_name_that_is_allowed_is_one_portable_folder(name: str) -> None:
    try:
        paths.check_project_name(name)
    except InvalidProjectName:
        return
    assert name.isascii()
    assert os.path.normpath(os.path.join("/root", name)) == f"/root/{name}"
    assert not name.startswith(".")
    assert not name.endswith((".", " "))


@pytest.mark.parametrize("path", [None, 7, b"bytes", "", "   ", "a\0b", "lone\ud800surrogate", [], object()])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"invalid path .*: expected "):
        paths.project_root(path)


def test_a_file_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InvalidArgument, match="expected a directory, but something else is there"):
        paths.project_root(tmp_path / "file")


def test_a_path_is_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    assert paths.project_root(tmp_path / "link" / ".." / "real" / ".") == str(tmp_path / "real")
    assert paths.project_root(str(tmp_path / "link")) == str(tmp_path / "real")


def test_a_loop_of_links_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    with pytest.raises(InvalidArgument, match="invalid path"):
        paths.project_root(tmp_path / "a")


def test_a_dangling_link_is_a_project_that_does_not_exist_yet(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")

    assert paths.project_root(tmp_path / "link") == str(tmp_path / "target")


def test_a_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        paths.make_data_folder(str(tmp_path / "a" / "b" / "data"))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "a" / "b" / "data").stat().st_mode) == 0o700


def test_a_data_folder_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o750)
    mode = (tmp_path / "data").stat().st_mode

    paths.make_data_folder(str(tmp_path / "data"))

    assert (tmp_path / "data").stat().st_mode == mode


def test_the_identity_of_a_file_changes_when_it_is_replaced(tmp_path: Path) -> None:
    file, other = tmp_path / "x.db", tmp_path / "other"
    file.touch()
    other.touch()
    before = paths.identity(str(file))

    os.replace(other, file)

    assert before != paths.identity(str(file)) is not None


def test_what_is_missing_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert paths.identity(str(tmp_path / "missing")) is None
    assert paths.identity(str(tmp_path / "file" / "below")) is None


def test_a_directory_has_no_identity_but_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatabaseCorrupt, match="not a regular file"):
        paths.identity(str(tmp_path))


# --- where a file is (D04) ---


def test_a_new_file_belongs_to_the_data_folder(tmp_path: Path) -> None:
    assert paths.locate(str(tmp_path), "features", ".peewee_conv", has_legacy=True) == str(
        tmp_path / ".peewee_conv" / "features.db"
    )


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["features.db"], "features.db"),
        ([".autocoder/features.db", "features.db"], ".autocoder/features.db"),
        ([".autoforge/features.db", ".autocoder/features.db", "features.db"], ".autoforge/features.db"),
        ([".peewee_conv/features.db", ".autoforge/features.db"], ".peewee_conv/features.db"),
    ],
)
def test_a_file_of_the_predecessor_wins_over_a_new_one(tmp_path: Path, present: list[str], expected: str) -> None:
    for name in present:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    assert paths.locate(str(tmp_path), "features", ".peewee_conv", has_legacy=True) == str(tmp_path / expected)


def test_a_schema_without_a_predecessor_ignores_such_files(tmp_path: Path) -> None:
    (tmp_path / "tickets.db").touch()

    assert paths.locate(str(tmp_path), "tickets", ".peewee_conv", has_legacy=False) == str(
        tmp_path / ".peewee_conv" / "tickets.db"
    )

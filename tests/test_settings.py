"""Settings are checked when they are made, and say what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from peewee_conv import Project
from peewee_conv.clock import now_text
from peewee_conv.errors import InvalidArgument
from peewee_conv.settings import Settings

BAD: list[tuple[str, Any]] = [
    ("durability", "off"),
    ("durability", None),
    ("durability", ["full"]),
    ("busy_timeout_ms", -1),
    ("busy_timeout_ms", 3_600_001),
    ("busy_timeout_ms", 1.5),
    ("busy_timeout_ms", True),
    ("busy_timeout_ms", "30000"),
    ("journal_mode", "WAL"),
    ("journal_mode", "memory"),
    ("data_dir", ""),
    ("data_dir", "."),
    ("data_dir", ".."),
    ("data_dir", "..."),
    ("data_dir", "a/b"),
    ("data_dir", "../up"),
    ("data_dir", "/abs"),
    ("data_dir", "a\\b"),
    ("data_dir", "a\0b"),
    ("data_dir", "a\n"),
    ("data_dir", "x" * 65),
    ("data_dir", Path("data")),
    ("group_commit", 1),
    ("group_commit", None),
    ("keep_copies", "yes"),
    ("max_content_bytes", 0),
    ("max_content_bytes", 1_000_000_001),
    ("count_tokens", 7),
    ("now", None),
    ("now", "2026-01-01"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_is_not_allowed_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidArgument, match=f"invalid {name} .*: expected ") as caught:
        Settings.of(**{name: value})

    assert (caught.value.argument, caught.value.value) == (name, value)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument, match="invalid setting 'durabilty': expected one of durability, busy_timeout"):
        Settings.of(durabilty="full")


def test_the_defaults_are_the_promised_ones() -> None:
    assert Settings.of() == Settings(
        durability="full",
        busy_timeout_ms=30_000,
        journal_mode="auto",
        data_dir=".peewee_conv",
        group_commit=True,
        keep_copies=True,
        warn_size_bytes=1_000_000_000,
        max_content_bytes=16 * 1024 * 1024,
        count_tokens=None,
        now=now_text,
    )


def test_the_defaults_obey_the_rules() -> None:
    assert Settings.of(**Settings()._asdict()) == Settings()


@pytest.mark.parametrize(("name", "value"), [("busy_timeout_ms", 0), ("data_dir", ".x"), ("data_dir", "a..b")])
def test_values_at_the_edge_are_allowed(name: str, value: Any) -> None:
    assert getattr(Settings.of(**{name: value}), name) == value


def test_a_project_refuses_bad_settings_before_it_makes_anything(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="invalid durability 'off': expected 'full' or 'normal'"):
        Project(tmp_path / "aurora", durability="off")

    assert list(tmp_path.iterdir()) == []


def test_a_project_that_exists_refuses_bad_settings_too(tmp_path: Path) -> None:
    keep = Project(tmp_path / "aurora")

    with pytest.raises(InvalidArgument, match="invalid durability"):
        Project(tmp_path / "aurora", durability="off")
    with pytest.raises(InvalidArgument, match="invalid setting"):
        Project(tmp_path / "aurora", nonsense=1)
    keep.dispose()


def test_the_data_folder_is_the_one_that_was_asked_for(tmp_path: Path) -> None:
    project = Project(tmp_path / "aurora", data_dir="store")
    project.conversations.create()

    assert [each.name for each in project.path.iterdir()] == ["store"]

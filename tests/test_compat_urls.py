"""A database URL of an older application stands for one project, and for no file that is there already."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from peewee_conv.compat import urls
from peewee_conv.errors import InvalidArgument


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("sqlite:///data/state.db", "data/state.db.project"),
        ("sqlite+aiosqlite:///./haia.db", "./haia.db.project"),
        ("sqlite:////srv/haia.db", "/srv/haia.db.project"),
        ("sqlite:///C:\\haia\\haia.db", "C:\\haia\\haia.db.project"),
        ("sqlite:///haia", "haia.project"),
        ("sqlite:///haia.db?timeout=5&cache=shared", "haia.db.project"),
    ],
)
def test_a_file_stands_for_the_project_beside_it(url: str, folder: str) -> None:
    assert urls.folder_of(url) == folder


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite+aiosqlite:///:memory:?x=1"])
def test_memory_stands_for_no_folder(url: str) -> None:
    assert urls.folder_of(url) is None


@pytest.mark.parametrize("url", ["", "haia.db", "postgresql://me:secret@host/haia", "sqlite:///file:x?uri=true", 5])
def test_another_database_is_refused_and_its_password_kept(url: str) -> None:
    with pytest.raises(InvalidArgument, match="expected the URL of a SQLite file") as refused:
        urls.project_of(url)

    assert "secret" not in str(refused.value)


def test_the_url_given_comes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert urls.chosen(None, "default") == "default"
    monkeypatch.setenv("DATABASE_URL", "environment")
    assert urls.chosen(None, "default") == "environment"
    assert urls.chosen("given", "default") == "given"


def test_a_file_at_the_path_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "haia.db").write_bytes(b"somebody else's")

    project = urls.project_of(f"sqlite:///{tmp_path}/haia.db")
    project.conversations.create()
    urls.close(project)

    assert (tmp_path / "haia.db").read_bytes() == b"somebody else's"
    assert project.exists()


def test_two_databases_in_memory_are_two_projects_that_leave_nothing() -> None:
    first, second = (urls.project_of("sqlite://") for _ in range(2))
    first.conversations.create()

    assert list(second.conversations.list()) == []
    assert (urls.close(first), urls.close(second)) == (True, True)
    assert not first.path.exists()
    assert not second.path.exists()


def test_a_database_in_memory_ends_with_its_process() -> None:
    program = (
        "from peewee_conv.compat import urls; project = urls.project_of('sqlite://');"
        " project.conversations.create(); print(project.path)"
    )
    left = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert left.stderr == ""
    assert not Path(left.stdout.strip()).exists()

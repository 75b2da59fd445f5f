"""The viewer only reads: it makes nothing, upgrades nothing, opens nothing needlessly, and says what it cannot read."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from legacy_files import IN_PROGRESS, OLDEST
from viewer_tools import PLAIN_PAGES, addresses, client_of, client_of_app, fill, read

from peewee_conv import Project, Projects
from peewee_conv.database.cache import cache
from peewee_conv.errors import DatabaseFull
from peewee_conv.maintenance import downgrade, migration_status
from peewee_conv.schemas import assistant, features
from peewee_conv.viewer import create_app


def files_of(folder: Path) -> dict[str, str]:
    """Return what is in each file below *folder*, but for the memory that connections share."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".db-shm")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def stored(project: Project) -> list[str]:
    """Return the schema versions and all rows."""
    project.dispose()
    lines = []
    for schema in (assistant, features):
        with closing(sqlite3.connect(project.database_path(schema))) as connection:
            lines += [str(connection.execute("PRAGMA user_version").fetchone()), *connection.iterdump()]
    return lines


def test_looking_at_everything_changes_nothing(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora", journal_mode="delete")
    client, filled = client_of(project), fill(project)
    project.dispose()
    before = files_of(project.path)

    for address in addresses("aurora", filled):
        assert client.get(address).status_code == 200
        assert client.head(address).status_code == 200

    assert files_of(project.path) == before


def test_looking_at_everything_changes_no_row_in_wal_mode(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora", journal_mode="wal")
    filled = fill(project)
    before = stored(project)
    project = make_project("aurora", journal_mode="wal")
    client = client_of(project)

    for address in addresses("aurora", filled):
        client.get(address)

    assert stored(project) == before


def test_no_page_makes_a_file(tmp_path: Path) -> None:
    Projects(tmp_path).create("aurora")
    (tmp_path / "notes").mkdir()
    client = client_of_app(create_app(Projects(tmp_path)))

    for name in ("aurora", "notes", "none", ".hidden"):
        for page in PLAIN_PAGES:
            client.get(f"/p/{name}/{page}")
        assert client.get(f"/p/{name}/conversation?id=x").status_code == 404

    assert sorted(os.listdir(tmp_path)) == ["aurora", "notes"]
    assert os.listdir(tmp_path / "aurora") == os.listdir(tmp_path / "notes") == []


@pytest.mark.parametrize("page", PLAIN_PAGES)
def test_a_project_without_a_file_says_so(make_project: Callable[..., Project], page: str) -> None:
    response = client_of(make_project("aurora")).get(f"/p/aurora/{page}")

    assert response.status_code == 200
    assert "no file yet" in (text := read(response).text) or "Nothing stored yet" in text


def test_the_list_of_projects_opens_none(make_project: Callable[..., Project]) -> None:
    projects = [make_project(name) for name in ("aurora", "borealis")]
    for project in projects:
        project.conversations.create()
        project.dispose()

    client_of(*projects).get("/")

    assert cache.open_databases() == []


def test_a_file_of_an_older_release_is_not_upgraded(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora")
    path = project.database_path(features)
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(OLDEST + IN_PROGRESS)
    before, client = files_of(project.path), client_of(project)

    response = client.get("/p/aurora/features")

    assert response.status_code == 409
    assert "has schema version 0 and this release reads" in read(response).text
    assert "the viewer upgrades nothing, so run 'peewee-conv migrate up'" in read(response).text
    assert "needs an upgrade" in read(client.get("/p/aurora/health")).text
    assert files_of(project.path) == before


def test_a_file_that_was_upgraded_meanwhile_is_shown(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora")
    project.database_path(features).parent.mkdir(parents=True)
    with closing(sqlite3.connect(project.database_path(features))) as connection:
        connection.executescript(OLDEST + IN_PROGRESS)
    client = client_of(project)
    before = client.get("/p/aurora/features").status_code

    project.features.stats()

    assert (before, client.get("/p/aurora/features").status_code) == (409, 200)


def test_a_project_that_was_disposed_is_opened_again(project: Project) -> None:
    client, filled = client_of(project), fill(project)
    before = client.get(f"/p/{project.name}/conversation?id={filled.talk}").status_code

    project.dispose()

    assert before == client.get(f"/p/{project.name}/conversation?id={filled.talk}").status_code == 200


def test_a_project_keeps_its_settings_when_it_is_opened_again(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora", journal_mode="delete")
    client, _ = client_of(project), fill(project)
    project.dispose()

    client.get("/p/aurora/")

    assert Project(project.path).health().journal_mode == "delete"


def test_a_project_in_use_with_other_settings_is_shown(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora", durability="normal")
    client, _ = client_of(project), fill(project)
    project.dispose()
    again = make_project("aurora", durability="full")
    again.conversations.list()

    assert client.get("/p/aurora/").status_code == 200


# --- what cannot be read ---


def test_a_damaged_file_is_a_sentence(project: Project) -> None:
    project.conversations.create()
    project.dispose()
    project.database_path().write_bytes(b"this is no database, though it is long enough to be one" * 100)
    client = client_of(project)

    response = client.get(f"/p/{project.name}/")

    assert response.status_code == 500
    assert "restore a backup, or run 'peewee-conv check'" in read(response).text
    assert "cannot be read" in read(client.get(f"/p/{project.name}/health")).text
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_a_file_that_becomes_old_while_it_is_looked_at_is_not_upgraded(
    make_project: Callable[..., Project], journal_mode: str
) -> None:
    project = make_project("aurora", journal_mode=journal_mode)
    client, filled = client_of(project), fill(project)
    assert client.get("/p/aurora/").status_code == 200

    downgrade(project, to=1)
    inode = os.stat(project.database_path()).st_ino

    assert client.get(f"/p/aurora/conversation?id={filled.talk}").status_code == 409
    assert migration_status(project).version == 1
    assert os.stat(project.database_path()).st_ino == inode


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """Keep readers away from the file, too."""
    with closing(sqlite3.connect(project.database_path(), isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


def test_a_locked_file_is_a_sentence(make_project: Callable[..., Project]) -> None:
    project = make_project("aurora", journal_mode="delete", busy_timeout_ms=1)
    filled, client = fill(project), client_of(project)
    client.get("/p/aurora/")

    with locked(project):
        response = client.get(f"/p/aurora/conversation?id={filled.talk}")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "1"
    assert "retry later" in read(response).text


def test_a_full_disk_has_the_status_that_the_extension_gives_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(project: Project) -> NoReturn:
        raise DatabaseFull("assistant.db", "database or disk is full")

    fill(project)
    monkeypatch.setattr("peewee_conv.viewer.listings.people.to_choose_from", fail)

    assert client_of(project).get(f"/p/{project.name}/").status_code == 507


def test_an_unknown_error_is_a_page_without_its_details(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(project)
    app = create_app(project)
    monkeypatch.setattr("peewee_conv.viewer.listings.people.to_choose_from", lambda project: 1 / 0)

    response = app.test_client().get(f"/p/{project.name}/")

    assert response.status_code == 500
    assert "Content-Security-Policy" in response.headers
    assert "ZeroDivision" not in response.get_data(as_text=True)

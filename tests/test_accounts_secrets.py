"""No file, log, record or error ever has a session token or a referral key."""

from __future__ import annotations

import logging
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from account_tools import profile

from peewee_conv import Project
from peewee_conv.errors import PeeweeConvError
from peewee_conv.models import ReferralKey, Session
from peewee_conv.transfer import export_conversations, export_markdown

# A process of its own reads: to open and close a live database file here would drop SQLite's locks.
READ = "import os, sys; sys.stdout.buffer.write(b''.join(open(f.path, 'rb').read() for f in os.scandir(sys.argv[1])))"


def files_of(project: Project) -> bytes:
    """Return the bytes of the database, its log and all else in its folder."""
    folder = project.database_path().parent
    return subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, check=True).stdout


def use_everything(project: Project, turns: int) -> list[str]:
    """Go through the life of tokens and keys, failures included, and return all of them."""
    accounts = project.accounts
    secrets = []
    for number in range(turns):
        key, spare = accounts.create_key(), accounts.create_key()
        entry = accounts.sign_in(profile(f"user{number}"), referral_key=key)
        secrets += [key, spare, entry.token, accounts.create_session(entry.user_id).token]
        with suppress(PeeweeConvError):
            accounts.sign_in(profile("late"), referral_key=key)
        accounts.is_key_valid(spare)
        accounts.claim_key(accounts.create_key(entry.user_id), entry.user_id)
        accounts.validate_session(entry.token)
        accounts.validate_session(entry.token[:-1])
        accounts.sign_out(entry.token)
        accounts.list_keys()
    return secrets


def assert_absent(secrets: list[str], where: bytes) -> None:
    found = [secret for secret in secrets if secret[:12].encode() in where or secret[-12:].encode() in where]
    assert found == []


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_files_have_no_token_and_no_key(tmp_path: Path, journal: str) -> None:
    project = Project(tmp_path / "project", journal_mode=journal)
    secrets = use_everything(project, 20)

    live = files_of(project)
    project.dispose()
    closed = files_of(project)

    assert b"user19@example.com" in live
    assert b"user19@example.com" in closed
    assert_absent(secrets, live + closed)


def test_logs_have_no_token_and_no_key(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    for name in ("peewee", "peewee_conv"):
        caplog.set_level(1, logger=name)

    secrets = use_everything(project, 5)
    with project:
        list(Session.select())
        list(ReferralKey.select())
    logging.getLogger("peewee_conv").debug("the end")

    assert "the end" in caplog.text
    assert "token_hash" in caplog.text
    assert_absent(secrets, "".join(str(vars(record)) for record in caplog.records).encode())


def test_exports_have_no_token_and_no_key(project: Project, tmp_path: Path) -> None:
    secrets = use_everything(project, 3)
    for user in project.accounts.list():
        talk = project.conversations.create(user_id=user.id, title=f"talk of {user.name}")
        project.conversations.add_message(talk.id, "user", "Hello!")

    export_conversations(project, tmp_path / "talks.jsonl")
    export_markdown(project, tmp_path / "talks.md")

    exported = (tmp_path / "talks.jsonl").read_bytes() + (tmp_path / "talks.md").read_bytes()
    assert exported.count(b"talk of User2") >= 2
    assert_absent(secrets, exported)
    assert b"@example.com" not in exported


def test_errors_have_no_token_and_no_key(project: Project) -> None:
    project.accounts.create_key()
    texts = []
    for secret in ("s3cret-key-of-somebody", b"s3cret-key-of-somebody"):
        with pytest.raises(PeeweeConvError) as caught:
            project.accounts.sign_in(profile(), referral_key=secret)  # type: ignore[arg-type]
        texts.append(f"{caught.value} {vars(caught.value)}")

    assert "s3cret" not in "".join(texts)


def test_records_have_no_digest(project: Project) -> None:
    use_everything(project, 1)
    shown = f"{project.accounts.list_keys()} {project.accounts.list()}"

    with project:
        digests = [key.key_hash for key in ReferralKey.select()] + [row.token_hash for row in Session.select()]

    assert len(digests) == 4
    assert [digest for digest in digests if digest in shown] == []

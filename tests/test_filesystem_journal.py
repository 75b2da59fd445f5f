"""The journal mode that a path gets, and why; and mount tables that cannot be read."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filesystem_tools import ROOT

from peewee_conv import filesystem
from peewee_conv.filesystem import (
    Mount,
    file_system_of,
    is_network_path,
    journal_mode_for,
    read_mounts,
)

# --- tables that cannot be read -----------------------------------------------------------------------------------


def test_without_a_table_every_path_is_suspect() -> None:
    for platform in ("linux", "darwin", "win32", "freebsd14"):
        assert is_network_path("/home/p", None, platform=platform)
        assert is_network_path("/home/p", [], platform=platform)
        assert is_network_path("/home/p", [Mount("/mnt", "ext4")], platform=platform)


@pytest.mark.parametrize(
    "number", [errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ESTALE, errno.EINVAL]
)
def test_any_error_of_the_system_means_delete_journal(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(filesystem, "open", fail, raising=False)

    assert read_mounts() is None
    assert journal_mode_for(tmp_path) == ("delete", "the mount table cannot be read")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: None,
        lambda table: table.mkdir(),
        lambda table: table.write_text("garbage\n"),
        lambda table: table.write_text(ROOT + "\n22 1 254:0 / /mnt rw nothing\n"),
        lambda table: table.write_text(ROOT + "\n1 - ext4\n"),
        lambda table: table.write_bytes(b"1 0 0:1 / / rw - \xff\xff s rw\n"),
        lambda table: table.write_text(""),
    ],
    ids=["missing", "directory", "garbage", "no type", "too short", "no text", "empty"],
)
def test_a_spoiled_mountinfo_means_delete_journal(
    spoil: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    spoil(table)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(filesystem, "_MOUNTINFO", str(table))

    assert not read_mounts()
    assert journal_mode_for(tmp_path)[0] == "delete"


@pytest.mark.skipif(os.name == "nt", reason="runs a shell script")
@pytest.mark.parametrize(
    ("script", "mounts"),
    [
        ("echo '/dev/disk1 on / (apfs, local)'", [Mount("/", "apfs")]),
        ("printf '/dev/disk1 on /\\377 (apfs)\\n'", [Mount("/\udcff", "apfs")]),
        ("echo garbage", None),
        ("exit 1", None),
        ("kill -9 $$", None),
    ],
)
def test_macos_asks_the_mount_command(
    script: str, mounts: list[Mount] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "mount"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(filesystem, "_MOUNT_COMMAND", str(command))

    assert read_mounts() == mounts


def test_a_system_without_the_mount_command_has_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "sunos5")
    monkeypatch.setattr(filesystem, "_MOUNT_COMMAND", str(tmp_path / "mount"))

    assert read_mounts() is None


# --- the journal mode ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="paths of Linux")
@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (Mount("/mnt/n", "nfs4"), ("delete", "nfs4 mounted at /mnt/n is a network file system")),
        (Mount("/mnt/n", "ext4"), ("wal", "ext4 mounted at /mnt/n is a local file system")),
        (Mount("/mnt/n", "fuse.x"), ("delete", "fuse.x mounted at /mnt/n is not known to be a local file system")),
        (Mount("/other", "ext4"), ("delete", "no known mount holds /mnt/n/p")),
    ],
)
def test_the_reason_says_what_was_found(mount: Mount, expected: tuple[str, str]) -> None:
    assert journal_mode_for("/mnt/n/p", [mount]) == expected


@pytest.mark.parametrize("path", [r"\\server\share\p", "//server/share", r"\\?\UNC\server\share", r"\\?\unc\s\s"])
def test_the_reason_names_a_windows_share(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os.path, "realpath", lambda path: path)

    assert journal_mode_for(path, []) == ("delete", f"{path} is on a network share")


def test_symbolic_links_are_followed_even_to_what_does_not_exist_yet(tmp_path: Path) -> None:
    share, link = tmp_path / "share", tmp_path / "link"
    share.mkdir()
    try:
        link.symlink_to(share)
    except OSError:
        pytest.skip("no symbolic links here")
    top, point = tmp_path.resolve().anchor, str(share.resolve())
    mounts = [Mount(top, "fixed"), Mount(point, "nfs4")]

    assert journal_mode_for(link / "not" / "yet" / "x.db", mounts)[0] == "delete"
    assert journal_mode_for(str(link), mounts)[0] == "delete"
    assert journal_mode_for(tmp_path / "linked" / "x.db", mounts)[0] == "wal"
    assert journal_mode_for(link / ".." / "x.db", mounts)[0] == "wal"


def test_a_relative_path_starts_at_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mounts = [Mount(tmp_path.resolve().anchor, "fixed"), Mount(str(tmp_path.resolve()), "nfs4")]

    assert journal_mode_for("x.db", mounts)[0] == "delete"
    assert journal_mode_for("../x.db", mounts)[0] == "wal"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_table_of_this_machine_is_read_anew_at_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = read_mounts()
    assert mounts
    assert file_system_of("/proc/self", mounts) == Mount("/proc", "proc")

    table = tmp_path / "mountinfo"
    monkeypatch.setattr(filesystem, "_MOUNTINFO", str(table))
    table.write_text(ROOT + "\n")
    assert journal_mode_for(tmp_path)[0] == "wal"
    table.write_text(ROOT.replace("ext4", "nfs4") + "\n")
    assert journal_mode_for(tmp_path)[0] == "delete"

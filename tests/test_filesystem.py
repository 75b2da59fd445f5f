"""Where WAL may be used: mount tables of Linux, macOS and Windows, in all the shapes that mislead."""

from __future__ import annotations

import ctypes
import errno
import os
import string
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from peewee_conv import filesystem
from peewee_conv.filesystem import (
    LOCAL_TYPES,
    NETWORK_TYPES,
    Mount,
    file_system_of,
    is_network_path,
    journal_mode_for,
    parse_mount_output,
    parse_mountinfo,
    read_mounts,
)

ROOT = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"
MACOS = r"""/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
//user@server/share on /Volumes/x (smbfs, nodev, nosuid, mounted by user)
nas:/vol/export on /Volumes/My (old) disk (nfs, nodev, nosuid)
//user@server/on%20call on /System/Volumes/Data/Users/user/team (smbfs)
/dev/disk4s1 on /Volumes/STICK (msdos, local, nodev, nosuid, noowners)
/dev/disk5s2 on /Volumes/Café (hfs, local, nodev, nosuid, journaled)
nas:/a on /b on /Volumes/odd (nfs)
https://cloud.example/dav on /Volumes/dav (webdav, nodev, noexec, nosuid)
macfuse@0 on /Volumes/ssh (macfuse, synchronous)
"""


def mountinfo(*lines: str) -> list[Mount]:
    """Parse *lines* of ``"mount-point type"`` below an ext4 root, as the kernel writes them."""
    rows = [ROOT]
    for number, line in enumerate(lines, 30):
        point, fs_type = line.split(" ")
        rows.append(
            f"{number} 22 0:{number} / {point} rw,relatime shared:{number} master:1 - {fs_type} source rw,x=- y"
        )
    return parse_mountinfo("\n".join([*rows, ""]).encode())


def windows_drives(types: dict[str, int]) -> type:
    """Return what stands in for ``ctypes.WinDLL``: a kernel32 with drives of these types."""

    class Kernel32:
        def __init__(self, name: str) -> None:
            assert name == "kernel32"

        def GetLogicalDrives(self) -> int:
            return sum(1 << string.ascii_uppercase.index(letter) for letter in types)

        def GetDriveTypeW(self, root: str) -> int:
            assert root[1:] == ":\\"
            return types[root[0]]

    return Kernel32


# --- Linux --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mounts", "path", "network"),
    [
        # The boundary of a path component.
        (["/mnt/nfs nfs4"], "/mnt/nfs", True),
        (["/mnt/nfs nfs4"], "/mnt/nfs/", True),
        (["/mnt/nfs nfs4"], "/mnt/nfs/p", True),
        (["/mnt/nfs nfs4"], "/mnt/nfs-local/p", False),
        (["/mnt/nfs nfs4"], "/mnt/nf", False),
        (["/mnt/nfs nfs4"], "/mnt", False),
        (["/mnt/nfs nfs4"], "//mnt/nfs/p", True),
        (["/mnt/nfs nfs4"], "/MNT/NFS/p", False),
        ([r"/mnt/a\134b cifs"], r"/mnt/a\b/p", True),
        ([], "/", False),
        # Nested: the longest wins, whatever the order.
        (["/mnt/nfs nfs4", "/mnt/nfs/scratch ext4"], "/mnt/nfs/scratch/p", False),
        (["/mnt/nfs nfs4", "/mnt/nfs/scratch ext4"], "/mnt/nfs/other/p", True),
        (["/data xfs", "/data/share cifs"], "/data/share/p", True),
        (["/data xfs", "/data/share cifs"], "/data/p", False),
        # Mounted over one another: the last wins.
        (["/mnt/x nfs4", "/mnt/x ext4"], "/mnt/x/p", False),
        (["/mnt/x ext4", "/mnt/x nfs4"], "/mnt/x/p", True),
        (["/ nfs4"], "/home/p", True),
        (["/home autofs", "/home nfs4"], "/home/p", True),
        # Octal escapes: space, tab, newline, backslash, #, and bytes that are no UTF-8.
        ([r"/mnt/my\040share cifs"], "/mnt/my share/p", True),
        ([r"/mnt/my\040share cifs"], r"/mnt/my\040share/p", False),
        ([r"/mnt/a\011b cifs"], "/mnt/a\tb/p", True),
        ([r"/mnt/a\012b cifs"], "/mnt/a\nb/p", True),
        ([r"/mnt/a\134040b cifs"], r"/mnt/a\040b/p", True),
        ([r"/mnt/\043 cifs"], "/mnt/#/p", True),
        (["/mnt/a\rb cifs"], "/mnt/a\rb/p", True),
        (["/mnt/\u00e4 cifs"], "/mnt/\u00e4/p", True),
        ([r"/mnt/\303\244 cifs"], "/mnt/\u00e4/p", True),
        ([r"/mnt/\377 cifs"], "/mnt/\udcff/p", True),
    ],
)
def test_linux_mount_tables(mounts: list[str], path: str, network: bool) -> None:
    assert is_network_path(path, mountinfo(*mounts), platform="linux") is network


@pytest.mark.parametrize(
    "fs_type",
    [
        *(
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "afs",
            "ceph",
            "glusterfs",
            "lustre",
            "gfs2",
            "ocfs2",
            "beegfs",
            "davfs",
        ),
        *("9p", "drvfs", "virtiofs", "vboxsf", "autofs", "fuse.sshfs", "fuse.glusterfs", "fuse.rclone"),
        *("fuse.s3fs", "fuse.davfs2"),
    ],
)
def test_network_types_use_delete_journal(fs_type: str) -> None:
    mounts = mountinfo(f"/mnt/share {fs_type}")

    assert is_network_path("/mnt/share/p", mounts, platform="linux")
    assert fs_type in NETWORK_TYPES


@pytest.mark.parametrize("fs_type", ["never-heard-of", "fuse", "fuse.never-heard-of", "EXT4", "ext", "proc", ""])
def test_unknown_types_use_delete_journal(fs_type: str) -> None:
    assert is_network_path("/mnt/share/p", [Mount("/mnt/share", fs_type)], platform="linux")


@pytest.mark.parametrize(
    "fs_type",
    [
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "bcachefs", "f2fs", "tmpfs", "ramfs", "overlay", "squashfs"),
        *("erofs", "iso9660", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "apfs", "hfs", "ufs"),
    ],
)
def test_local_types_use_wal(fs_type: str) -> None:
    mounts = mountinfo(f"/mnt/disk {fs_type}")

    assert not is_network_path("/mnt/disk/p", mounts, platform="linux")


def test_no_type_is_both_local_and_network_and_none_behind_fuse_is_local() -> None:
    assert not LOCAL_TYPES & NETWORK_TYPES
    assert not [fs_type for fs_type in LOCAL_TYPES if fs_type.startswith("fuse.")]


def test_a_mount_that_a_later_one_hides_does_not_count() -> None:
    # /data was mounted over after /data/disk: the way to /data/disk/p now leads into the share, longest match or not.
    table = f"{ROOT}\n30 22 8:1 / /data/disk rw - ext4 a rw\n31 30 8:2 / /data/disk/in rw - ext4 b rw\n"
    hiding = "40 22 0:40 / /data rw - nfs4 c rw\n"
    inside = "41 40 8:3 / /data/local rw - xfs d rw\n"

    assert parse_mountinfo(table.encode())[1:] == [("/data/disk", "ext4"), ("/data/disk/in", "ext4")]
    assert parse_mountinfo((table + hiding + inside).encode()) == [
        ("/", "ext4"),
        ("/data", "nfs4"),
        ("/data/local", "xfs"),
    ]


def test_a_mount_below_the_lower_of_two_stacked_ones_does_not_count() -> None:
    lower = "30 22 0:30 / /srv rw - ext4 a rw\n31 30 0:31 / /srv/disk rw - ext4 b rw\n"
    upper = "32 30 0:32 / /srv rw - nfs4 c rw\n"

    mounts = parse_mountinfo(f"{ROOT}\n{lower}{upper}".encode())

    assert mounts == [("/", "ext4"), ("/srv", "ext4"), ("/srv", "nfs4")]
    assert is_network_path("/srv/disk/p", mounts, platform="linux")


def test_a_root_that_names_itself_as_its_parent_is_no_endless_way() -> None:
    assert parse_mountinfo(b"1 1 0:1 / / rw - rootfs rootfs rw\n") == [("/", "rootfs")]


def test_optional_fields_may_be_absent_or_many() -> None:
    lines = [
        b"1 0 0:1 / / rw - ext4 s rw",
        b"2 1 0:2 / /a rw shared:1 - nfs s rw",
        b"3 1 0:3 / /b rw m:1 p:2 u - cifs s rw",
    ]

    assert parse_mountinfo(b"\n".join(lines)) == [("/", "ext4"), ("/a", "nfs"), ("/b", "cifs")]


# --- macOS and BSD ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("/Users/user/project", False),
        ("/private/tmp/project", False),
        ("/Volumes/x/project", True),
        ("/Volumes/x2/project", False),
        ("/Volumes/My (old) disk/project", True),
        ("/Volumes/odd/project", True),
        ("/Volumes/STICK/project", False),
        ("/Volumes/dav/project", True),
        ("/Volumes/ssh/project", True),
        ("/System/Volumes/Data/Users/user/project", False),
        ("/System/Volumes/Database/project", False),
        # One directory has two names, because the data volume is grafted into the root.
        ("/Users/user/team/project", True),
        ("/System/Volumes/Data/Users/user/team/project", True),
        ("/home/user/project", True),
        ("/System/Volumes/Data/Volumes/x/project", True),
        # Its volumes do not tell case, nor one spelling of an accent from the other.
        ("/volumes/X/project", True),
        ("/Volumes/Cafe\u0301/project", False),
        ("/Volumes/Caf\u00e9/project", False),
    ],
)
def test_macos_mounts(path: str, network: bool) -> None:
    assert is_network_path(path, parse_mount_output(MACOS), platform="darwin") is network


@pytest.mark.parametrize("mounted", ["/Volumes/Caf\u00e9", "/Volumes/Cafe\u0301", "/VOLUMES/CAF\u00c9"])
@pytest.mark.parametrize("path", ["/Volumes/Caf\u00e9/p", "/Volumes/Cafe\u0301/p"])
def test_macos_spells_one_name_in_many_ways(mounted: str, path: str) -> None:
    assert is_network_path(path, [Mount("/", "apfs"), Mount(mounted, "smbfs")], platform="darwin")
    assert is_network_path(path, [Mount("/", "ext4"), Mount(mounted, "cifs")], platform="linux") is path.startswith(
        mounted
    )


def test_freebsd_mounts() -> None:
    mounts = parse_mount_output("zroot/ROOT on / (zfs, local, nfsv4acls)\nnas:/vol on /mnt (nfs)\n")

    assert mounts == [("/", "zfs"), ("/mnt", "nfs")]


@pytest.mark.parametrize("line", ["what is this", "/dev/disk1 on nowhere (apfs)", "mount: (apfs)"])
def test_a_line_that_mount_does_not_print_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a line of a mount table"):
        parse_mount_output(MACOS + line + "\n")


# --- Windows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "network"),
    [
        ("C:\\Users\\me\\project", False),
        ("c:/users/me/project", False),
        ("C:\\", False),
        ("\\\\?\\C:\\very\\long", False),
        ("D:\\project", False),
        ("R:\\project", False),
        ("Z:\\project", True),
        ("z:\\project", True),
        ("Z:\\", True),
        ("\\\\?\\Z:\\project", True),
        ("\\\\server\\share", True),
        ("\\\\server\\share\\project", True),
        ("//server/share/project", True),
        ("\\\\?\\UNC\\server\\share\\project", True),
        ("\\\\?\\unc\\server\\share\\project", True),
        ("\\\\wsl$\\Ubuntu\\home", True),
        ("\\\\wsl.localhost\\Ubuntu\\home", True),
        ("\\\\?\\Volume{0-1}\\project", True),
        ("U:\\project", True),
        ("N:\\project", True),
        ("Q:\\project", True),
    ],
)
def test_windows_paths(path: str, network: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    drives = {"C": 3, "D": 2, "E": 5, "N": 1, "R": 6, "U": 0, "Z": 4}
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", windows_drives(drives), raising=False)
    mounts = read_mounts()

    assert mounts is not None
    assert [mount.mount_point for mount in mounts] == [f"{letter}:\\" for letter in drives]
    assert is_network_path(path, mounts, platform="win32") is network


def test_a_windows_share_is_known_by_its_name_alone() -> None:
    assert is_network_path("\\\\server\\share\\p", [Mount("\\\\server\\share", "fixed")], platform="win32")
    assert not is_network_path("/server/share/p", [Mount("/", "ext4")], platform="linux")


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


# --- any table and any path ---------------------------------------------------------------------------------------

# Few and similar names, so that prefixes, boundaries and equal mount points come up all the time.
names = st.sampled_from(["a", "ab", "a b", "a-", "b", "A", "\u00e9", "\\"])
paths = st.lists(names, max_size=4).map(lambda parts: "/" + "/".join(parts))
tables = st.lists(st.builds(Mount, paths, st.sampled_from(["ext4", "nfs4", "what", "fuse.x"])), max_size=8)


def winner(path: str, mounts: list[Mount]) -> Mount | None:
    """Say the same in other words: of the mounts at the path or one of its parents, the deepest, then the last."""
    holders = [mount for mount in mounts if PurePosixPath(path).is_relative_to(mount.mount_point)]
    ranked = sorted(enumerate(holders), key=lambda item: (len(PurePosixPath(item[1].mount_point).parts), item[0]))
    return ranked[-1][1] if ranked else None


@given(paths, tables)
@example("/mnt/nfs-local/p", [Mount("/", "ext4"), Mount("/mnt/nfs", "nfs4")])
@example("/a/b", [Mount("/a", "ext4"), Mount("/a", "nfs4"), Mount("/", "what")])
def test_the_deepest_then_last_mount_at_or_above_a_path_wins(path: str, mounts: list[Mount]) -> None:
    found = file_system_of(path, mounts, platform="linux")

    assert found == winner(path, mounts)
    assert is_network_path(path, mounts, platform="linux") is (found is None or found.fs_type != "ext4")


@given(paths, tables)
def test_slashes_at_the_end_change_nothing(path: str, mounts: list[Mount]) -> None:
    slashed = [Mount(mount.mount_point.rstrip("/") + "/", mount.fs_type) for mount in mounts]

    assert is_network_path(path + "/", slashed, "linux") is is_network_path(path, mounts, "linux")


@given(paths, st.lists(names, max_size=3), tables)
def test_what_is_below_a_path_without_a_mount_of_its_own_lies_on_the_same_mount(
    path: str, below: list[str], mounts: list[Mount]
) -> None:
    deeper = "/".join([path.rstrip("/"), *below])
    own = [mount for mount in mounts if len(mount.mount_point) <= len(path)]

    assert file_system_of(deeper, own, "linux") == file_system_of(path, own, "linux") or below == []


@given(st.binary(max_size=200))
def test_no_bytes_make_a_parser_fail_otherwise_than_promised(table: bytes) -> None:
    with suppress(ValueError):
        assert parse_mountinfo(table) is not None
    with suppress(ValueError):
        assert parse_mount_output(os.fsdecode(table)) is not None


@given(st.text(max_size=40), st.sampled_from(["linux", "darwin", "win32"]))
def test_every_path_gets_an_answer(path: str, platform: str) -> None:
    mounts = [Mount("C:\\" if platform == "win32" else "/", "ntfs")]

    assert is_network_path(path, mounts, platform) in (True, False)


@given(st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=20))
@example("a b\tc\nd\\e#f")
@example("\\040")
def test_a_name_that_the_kernel_escapes_is_read_back(name: str) -> None:
    escaped = "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in name)

    mounts = mountinfo(f"/mnt/{escaped} nfs4")

    assert mounts[1] == Mount(f"/mnt/{name}", "nfs4")

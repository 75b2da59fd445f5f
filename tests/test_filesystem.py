"""Where WAL may be used: mount tables of Linux, macOS and Windows, in all the shapes that mislead."""

from __future__ import annotations

import ctypes
import sys

import pytest
from filesystem_tools import MACOS, ROOT, mountinfo, windows_drives

from peewee_conv.filesystem import (
    LOCAL_TYPES,
    NETWORK_TYPES,
    Mount,
    is_network_path,
    parse_mount_output,
    parse_mountinfo,
    read_mounts,
)

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

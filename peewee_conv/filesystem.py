"""Which journal mode the file system under a path can carry.

SQLite's WAL needs memory that all users of a file share, which no network file system gives: databases on one are
damaged sooner or later. So WAL is for file systems known to be local, DELETE for all others: network file systems,
shares of a virtual machine, everything behind FUSE, unknown types, and every case of doubt.

>>> mounts = [Mount("/", "ext4"), Mount("/mnt/nfs", "nfs4")]
>>> is_network_path("/mnt/nfs/project", mounts, platform="linux")
True
>>> is_network_path("/mnt/nfs-local/project", mounts, platform="linux")
False
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence

from .named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    JournalMode = Literal["wal", "delete"]
    Row = tuple[bytes, bytes, "Mount"]  # the id of a mount, that of its parent, and the mount

#: File systems of this machine's own disks and memory, by the names that Linux, macOS, BSD and (the last line, drive
#: types) Windows have for them. ``fuseblk`` is what Linux calls NTFS and exFAT in user space.
LOCAL_TYPES = frozenset(
    """
    ext2 ext3 ext4 xfs btrfs bcachefs zfs f2fs jfs reiserfs nilfs2 minix ubifs jffs2 tmpfs ramfs rootfs devtmpfs
    overlay aufs ecryptfs squashfs erofs cramfs iso9660 udf vfat msdos exfat ntfs ntfs3 fuseblk
    apfs hfs hfsplus cd9660 msdosfs ufs hammer2
    fixed removable ramdisk cdrom
    """.split()  # noqa: SIM905 - a list would take a line for each
)

#: File systems of other machines. The type decides nothing here (what is not local is treated as network), it only
#: makes the reason certain. ``9p``, ``drvfs``, ``virtiofs``, ``vboxsf`` and the like are shares of a virtual machine.
NETWORK_TYPES = frozenset(
    """
    nfs nfs4 cifs smb2 smb3 smbfs afpfs webdav davfs davfs2 ncpfs afs coda ceph glusterfs lustre gfs gfs2 ocfs2 beegfs
    gpfs orangefs pvfs2 panfs 9p drvfs virtiofs vboxsf vmhgfs prl_fs fakeowner autofs remote
    fuse.sshfs fuse.s3fs fuse.rclone fuse.glusterfs fuse.ceph fuse.davfs2 fuse.gcsfuse fuse.vmhgfs-fuse
    fuse.grpcfuse fuse.osxfs fuse.juicefs fuse.mfs
    """.split()  # noqa: SIM905 - a list would take a line for each
)

_DRIVE_TYPES = ("unknown", "missing", "removable", "fixed", "remote", "cdrom", "ramdisk")  # as GetDriveTypeW counts
_MOUNTINFO = "/proc/self/mountinfo"
_MOUNT_COMMAND = "/sbin/mount"  # of macOS and BSD; by its full name, for PATH may be anything
_MACOS_DATA = "/system/volumes/data"


class Mount(NamedTuple):
    """One line of the mount table."""

    mount_point: str
    fs_type: str


def journal_mode_for(path: str | os.PathLike[str], mounts: Sequence[Mount] | None = None) -> tuple[JournalMode, str]:
    """Return the journal mode for a database at *path*, and why.

    :param path: a file or directory; symbolic links are followed, and what does not exist yet counts as lying on the
        file system of its nearest existing parent.
    :param mounts: the mount table, in mount order; ``None`` reads this machine's, at every call: a remembered answer
        would outlive a mount.
    :returns: ``("wal", reason)`` or ``("delete", reason)``.
    """
    table = read_mounts() if mounts is None else mounts
    network, reason = _judge(os.path.realpath(path), table, sys.platform)
    return "delete" if network else "wal", reason


def is_network_path(path: str, mounts: Iterable[Mount] | None, platform: str = sys.platform) -> bool:
    """Tell whether *path* is on a network file system, or on one that might be.

    :param path: an absolute path without symbolic links.
    :param mounts: the mount table, in mount order; ``None`` if it cannot be read, which makes every path suspect.
    :param platform: whose paths these are, as ``sys.platform`` has it.
    """
    return _judge(path, mounts, platform)[0]


def file_system_of(path: str, mounts: Iterable[Mount], platform: str = sys.platform) -> Mount | None:
    """Return the mount that *path* lies on: the longest mount point, and among equals the last one.

    :param path: an absolute path without symbolic links.
    :param mounts: the mount table, in mount order.
    :param platform: whose paths these are, as ``sys.platform`` has it.
    """
    place = _normalize(path, platform) + "/"
    best, best_length = None, 0
    for mount in mounts:
        point = _normalize(mount.mount_point, platform) + "/"
        if len(point) >= best_length and place.startswith(point):
            best, best_length = mount, len(point)
    return best


def read_mounts() -> list[Mount] | None:
    """Read the mount table of this machine, in mount order.

    :returns: the mounts that can be reached (not those that a later mount hides), or ``None`` if that cannot be told.
    """
    platform = sys.platform
    try:
        if platform == "win32":
            return _read_drives()
        if platform.startswith("linux"):
            return _read_mountinfo()
        return _run_mount()
    except (OSError, ValueError):
        return None


def parse_mountinfo(table: bytes) -> list[Mount]:
    """Parse the text of Linux' ``/proc/self/mountinfo``, leaving out mounts that can no longer be reached.

    :raises ValueError: a line is not of the documented form.
    """
    rows = [_parse_mountinfo_line(line) for line in table.split(b"\n") if line]
    hidden = _find_covered(rows)
    for mount_id, parent_id, _ in rows:
        if parent_id in hidden:
            hidden.add(mount_id)
    return [mount for mount_id, _, mount in rows if mount_id not in hidden]


def parse_mount_output(output: str) -> list[Mount]:
    """Parse what ``mount`` prints on macOS and BSD: ``source on /mount/point (type, option, ...)``.

    :raises ValueError: a line is not of that form.
    """
    mounts = []
    for line in filter(None, output.split("\n")):
        head, _, options = line.rpartition(" (")
        points = re.findall(r"(?= on (/.*))", head)
        if not points:
            raise ValueError(f"not a line of a mount table: {line!r}")
        # Where a name contains " on /" there are several readings. All are kept: the wrong ones are nobody's path.
        mounts += [Mount(point, re.split("[,)]", options)[0]) for point in points]
    return mounts


def _judge(path: str, mounts: Iterable[Mount] | None, platform: str) -> tuple[bool, str]:
    if platform == "win32" and _normalize(path, platform).startswith("//"):
        return True, f"{path} is on a network share"
    if mounts is None:
        return True, "the mount table cannot be read"
    mount = file_system_of(path, mounts, platform)
    if mount is None:
        return True, f"no known mount holds {path}"
    where = f"{mount.fs_type} mounted at {mount.mount_point}"
    if mount.fs_type in LOCAL_TYPES:
        return False, f"{where} is a local file system"
    if mount.fs_type in NETWORK_TYPES:
        return True, f"{where} is a network file system"
    return True, f"{where} is not known to be a local file system"


def _normalize(path: str, platform: str) -> str:
    # Equal for paths that the platform takes for equal, with slashes, and without one at the end: "" is the root.
    if platform == "win32":
        path = re.sub(r"^\\\\\?\\(UNC(?=\\))?", lambda match: "\\" if match[1] else "", path, flags=re.IGNORECASE)
        return path.replace("\\", "/").rstrip("/").casefold()
    path = "/" + path.strip("/") if path.strip("/") else ""
    return _normalize_macos(path) if platform == "darwin" else path


def _normalize_macos(path: str) -> str:
    from unicodedata import normalize

    path = normalize("NFD", normalize("NFD", path).casefold())
    # The data volume is grafted into the root: /Users and /System/Volumes/Data/Users are one directory.
    return path[len(_MACOS_DATA) :] if (path + "/").startswith(_MACOS_DATA + "/") else path


def _read_mountinfo() -> list[Mount]:
    with open(_MOUNTINFO, "rb") as table:  # not pathlib: importing it takes milliseconds
        return parse_mountinfo(table.read())


def _parse_mountinfo_line(line: bytes) -> Row:
    left, right = line.split(b" - ", 1)
    mount_id, parent_id, _, _, point, *_ = left.split(b" ", 5)
    if b"\\" in point:  # space, tab, newline, backslash and # are written in octal
        point = re.sub(rb"\\([0-3][0-7]{2})", lambda match: bytes([int(match[1], 8)]), point)
    return mount_id, parent_id, Mount(os.fsdecode(point), right.split(b" ")[0].decode())


def _find_covered(rows: list[Row]) -> set[bytes]:
    # A mount is covered by a later one on the same parent and nearer to the root: every way down leads past it. Asking
    # for a later one keeps emulated tables right, which may name one parent for all.
    later: set[tuple[bytes, str]] = set()
    covered = set()
    for mount_id, parent_id, mount in reversed(rows):
        if any((parent_id, above) in later for above in _parents(mount.mount_point)):
            covered.add(mount_id)
        later.add((parent_id, mount.mount_point))
    return covered


def _parents(mount_point: str) -> Iterator[str]:
    while mount_point != "/":
        mount_point = mount_point.rpartition("/")[0] or "/"
        yield mount_point


def _run_mount() -> list[Mount]:
    import subprocess

    try:
        done = subprocess.run([_MOUNT_COMMAND], capture_output=True, check=True, timeout=10)
    except subprocess.SubprocessError as error:
        raise OSError(f"{_MOUNT_COMMAND} failed") from error
    return parse_mount_output(os.fsdecode(done.stdout))


def _read_drives() -> list[Mount]:
    import ctypes

    return _ask_drives(getattr(ctypes, "WinDLL")("kernel32"))  # noqa: B009 - absent from ctypes' types elsewhere


def _ask_drives(kernel32: Any) -> list[Mount]:
    present = kernel32.GetLogicalDrives()
    roots = [f"{letter}:\\" for bit, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ") if present >> bit & 1]
    return [Mount(root, _DRIVE_TYPES[kernel32.GetDriveTypeW(root)]) for root in roots]

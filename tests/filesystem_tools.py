"""Mount tables of other machines."""

from __future__ import annotations

import string

from peewee_conv.filesystem import (
    Mount,
    parse_mountinfo,
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

"""Any mount table and any path has an answer, and the right one."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import PurePosixPath

from filesystem_tools import mountinfo
from hypothesis import example, given
from hypothesis import strategies as st

from peewee_conv.filesystem import (
    Mount,
    file_system_of,
    is_network_path,
    parse_mount_output,
    parse_mountinfo,
)

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

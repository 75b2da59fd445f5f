"""Build the distributions, look at every file in them, and use them as a stranger would.

The wheel is built from the sdist and the sdist from a copy of the tracked files, so that nothing left over from an
earlier build can hide a file that is missing. Run by ``tox run -e packaging``; needs ``build`` and ``twine``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parent.parent
MAX_WHEEL_BYTES = 460_000  # a guard against growth that nobody meant
COMMANDS = (
    "demo",
    "import",
    "export",
    "list",
    "show",
    "search",
    "context",
    "stats",
    "migrate",
    "check",
    "backup",
    "serve",
)
DIST_INFO = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")
SHIPPED_SUFFIXES = {".css", ".html", ".jsonl", ".py", ".svg", ".typed"}
NOT_IN_SDIST = {".gitignore"}
MADE_BY_SDIST = {"PKG-INFO", "setup.cfg"}

FIRST_PROJECT = """
import sqlite3
from contextlib import closing
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import peewee_conv
from peewee_conv import Project

assert "site-packages" in peewee_conv.__file__, peewee_conv.__file__
assert peewee_conv.__version__ == version("peewee-conv")

project = Project("first")
bot = project.assistants.create(name="Bot", instructions="You answer.", model="none")
talk = project.conversations.create(assistant_id=bot.id)
project.conversations.add_message(talk.id, "user", "Is anybody there?")
assert [m.content for m in project.conversations.messages(talk.id)] == ["Is anybody there?"]
project.dispose()

scripts = sorted(p.name for p in files("peewee_conv.migrations").joinpath("assistant").iterdir() if p.name[0].isdigit())
with closing(sqlite3.connect(Path("first/.peewee_conv/assistant.db"))) as db:
    assert db.execute("PRAGMA user_version").fetchone() == (int(scripts[-1][:4]),), scripts
"""


def main() -> None:
    """Run every check; the first that fails ends the run with a message."""
    with tempfile.TemporaryDirectory(prefix="peewee-conv-") as folder:
        work = Path(folder)
        sources = tracked_files()
        wheel, sdist = build(sources, work)
        check_wheel(wheel, sources)
        check_sdist(sdist, sources)
        use_wheel(wheel, work)
    print(f"packaging: {wheel.name} and {sdist.name} are complete and work in a clean environment")


def tracked_files() -> list[str]:
    """Return what git would commit, as paths below the root; stale and ignored files stay out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return sorted({name for name in listed.splitlines() if (ROOT / name).is_file()})


def build(sources: Iterable[str], work: Path) -> tuple[Path, Path]:
    """Build the sdist from a copy of *sources* and the wheel from the sdist; return both."""
    for name in sources:
        (work / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, work / "tree" / name)
    run(sys.executable, "-m", "build", "--outdir", work / "dist", work / "tree", cwd=work, quiet=True)
    (wheel,) = (work / "dist").glob("*.whl")
    (sdist,) = (work / "dist").glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist, cwd=work)
    return wheel, sdist


def check_wheel(wheel: Path, sources: Iterable[str]) -> None:
    """Compare the wheel with the tree: each module and data file once, the migrations inside the package, no more."""
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    expected = {f"{info}/{name}" for name in DIST_INFO}
    for name in sources:
        path = PurePosixPath(name)
        if path.suffix in SHIPPED_SUFFIXES and path.parts[0] in ("peewee_conv", "migrations"):
            expected.add(name if path.parts[0] == "peewee_conv" else f"peewee_conv/{name}")
    with ZipFile(wheel) as archive:
        compare("the wheel", set(archive.namelist()), expected)
    size = wheel.stat().st_size
    if size > MAX_WHEEL_BYTES:
        sys.exit(f"packaging: the wheel has {size:,} bytes, allowed are {MAX_WHEEL_BYTES:,}")
    print(f"packaging: the wheel has {len(expected)} files and {size:,} bytes")


def check_sdist(sdist: Path, sources: Iterable[str]) -> None:
    """Compare the sdist with the tree: all that is tracked, so that it can be tested and documented from."""
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
    found = {name for name in names if not name.startswith("peewee_conv.egg-info/")}
    compare("the sdist", found, (set(sources) - NOT_IN_SDIST) | MADE_BY_SDIST)


def compare(what: str, found: set[str], expected: set[str]) -> None:
    """Exit with both differences unless *found* is *expected*."""
    if found != expected:
        missing, extra = sorted(expected - found), sorted(found - expected)
        sys.exit(f"packaging: {what} lacks {missing or 'nothing'} and should not hold {extra or 'anything'}")


def use_wheel(wheel: Path, work: Path) -> None:
    """Install the wheel alone, outside the checkout, and run the library and every command's help."""
    venv.create(work / "venv", with_pip=True, symlinks=os.name != "nt")
    scripts = work / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python, command = scripts / "python", scripts / "peewee-conv"
    elsewhere = work / "elsewhere"
    elsewhere.mkdir()

    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=elsewhere)
    listed = run(python, "-m", "pip", "list", "--format", "freeze", cwd=elsewhere, quiet=True)
    installed = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines() if "==" in line}
    compare("the clean environment", installed - {"pip", "setuptools"}, {"peewee", "peewee-conv"})

    run(python, "-c", FIRST_PROJECT, cwd=elsewhere)
    run(python, "-m", "peewee_conv", "--help", cwd=elsewhere, quiet=True)
    run(command, "--help", cwd=elsewhere, quiet=True)
    for name in COMMANDS:
        run(command, name, "--help", cwd=elsewhere, quiet=True)
    run(command, "demo", cwd=elsewhere, quiet=True)


def run(*command: str | Path, cwd: Path, quiet: bool = False) -> str:
    """Run *command* outside the checkout, end the check when it fails, and return what it printed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "PYTHONHOME"))}
    done = subprocess.run([str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True)
    if done.returncode or not quiet:
        print(done.stdout, done.stderr, sep="", end="", flush=True)
    if done.returncode:
        sys.exit(f"packaging: exit status {done.returncode} from: {' '.join(map(str, command))}")
    return done.stdout


if __name__ == "__main__":
    main()

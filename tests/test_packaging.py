"""What setup.cfg, tox.ini and the tree promise to each other, and what importing the package costs a user."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import sys
from importlib.metadata import requires, version
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 450
ENVIRONMENT = os.environ.get("TOX_ENV_NAME", "")

IMPORT_AND_REPORT = """
import json, sys, sysconfig
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "sqlite3.connect" else None)
before = set(sys.modules)
import peewee_conv

standard = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
def is_standard(name):
    origin = getattr(sys.modules[name].__spec__, "origin", None) or ""
    return name in sys.stdlib_module_names or origin.startswith(standard) and "site-packages" not in origin

brought = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps({"brought": sorted(name for name in brought if not is_standard(name)), "opened": opened}))
"""


def read_ini(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((ROOT / name).read_text(encoding="utf-8"))
    return parser


def lines_of(parser: configparser.ConfigParser, section: str, option: str) -> list[str]:
    return [line.strip() for line in parser[section][option].splitlines() if line.strip() and line[:1] != "#"]


def packages_on_disk() -> dict[str, str]:
    """Return every package below peewee_conv/ and migrations/ with its folder; migrations live inside peewee_conv."""
    folders = [
        init.parent.relative_to(ROOT)
        for top in ("peewee_conv", "migrations")
        for init in (ROOT / top).rglob("__init__.py")
    ]
    return {
        ".".join(
            folder.parts if folder.parts[0] == "peewee_conv" else ("peewee_conv", *folder.parts)
        ): folder.as_posix()
        for folder in folders
    }


def peewee_floor() -> str:
    (requirement,) = lines_of(read_ini("setup.cfg"), "options", "install_requires")
    (floor,) = re.findall(r"^peewee>=([\d.]+),<5$", requirement)
    return floor


def test_every_package_on_disk_is_listed_in_setup_cfg() -> None:
    assert sorted(lines_of(read_ini("setup.cfg"), "options", "packages")) == sorted(packages_on_disk())


def test_every_migration_package_is_mapped_to_its_folder() -> None:
    mapping = dict(line.split(" = ") for line in lines_of(read_ini("setup.cfg"), "options", "package_dir"))

    assert mapping == {name: folder for name, folder in packages_on_disk().items() if folder.startswith("migrations")}


@pytest.mark.parametrize("top", ["peewee_conv", "migrations"])
def test_every_folder_with_modules_is_a_package(top: str) -> None:
    folders = {module.parent for module in (ROOT / top).rglob("*.py")}

    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_no_module_is_longer_than_the_limit() -> None:
    folders = (".ci", "benchmarks", "docs", "migrations", "peewee_conv")
    modules = [module for top in folders for module in (ROOT / top).rglob("*.py")]
    lengths = {str(m.relative_to(ROOT)): len(m.read_text(encoding="utf-8").splitlines()) for m in modules}

    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_minpeewee_environment_pins_the_lowest_supported_peewee() -> None:
    pins = re.findall(r"^\s*minpeewee: peewee==(.+)$", (ROOT / "tox.ini").read_text(encoding="utf-8"), re.MULTILINE)

    assert pins == [peewee_floor()]


def test_classifiers_and_tox_name_the_same_interpreters() -> None:
    classifiers = re.findall(r":: Python :: 3\.(\d+)$", (ROOT / "setup.cfg").read_text(encoding="utf-8"), re.MULTILINE)
    (factors,) = re.findall(r"py3\{([\d,]+)\}", read_ini("tox.ini")["tox"]["env_list"])

    assert classifiers == factors.split(",")
    assert read_ini("setup.cfg")["options"]["python_requires"] == f">=3.{classifiers[0]}"


def test_version_is_a_literal_that_a_build_can_read_without_importing() -> None:
    tree = ast.parse((ROOT / "peewee_conv" / "__init__.py").read_text(encoding="utf-8"))
    found = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]

    assert found == [version("peewee-conv")]


def test_peewee_is_the_only_requirement_without_an_extra() -> None:
    names = [line for line in requires("peewee-conv") or [] if "extra ==" not in line]

    assert [re.split(r"[<>=! ]", line)[0] for line in names] == ["peewee"]


def test_extra_all_is_every_other_extra() -> None:
    extras = read_ini("setup.cfg")["options.extras_require"]
    named = {line for extra in extras if extra != "all" for line in extras[extra].split()}

    assert set(extras["all"].split()) == named


def test_import_brings_in_peewee_alone_and_opens_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORT_AND_REPORT], capture_output=True, text=True, cwd=ROOT / "tests")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"brought": ["peewee", "peewee_conv"], "opened": []}


def test_migrations_and_demo_data_are_where_the_package_looks() -> None:
    from importlib.resources import files

    scripts = [entry.name for entry in files("peewee_conv.migrations").joinpath("assistant").iterdir()]

    assert "0001_initial.py" in scripts
    assert files("peewee_conv").joinpath("demo_data", "sample.jsonl").is_file()
    assert files("peewee_conv").joinpath("py.typed").is_file()


def test_tox_environment_holds_what_its_name_says() -> None:
    digits = re.findall(r"py3(\d+)", ENVIRONMENT)
    if digits:
        assert sys.version_info[:2] == (3, int(digits[0]))
    if ENVIRONMENT.endswith("minpeewee"):
        assert version("peewee") == peewee_floor()
    if ENVIRONMENT == "noextras":
        assert [name for name in ("flask", "prometheus_client") if find_spec(name)] == []

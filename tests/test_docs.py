"""The documentation says what is true: its samples run, its links lead somewhere, nothing public is left out."""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import inspect
import io
import itertools
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from peewee_conv import cli, errors
from peewee_conv.cli.parser import build_parser
from peewee_conv.errors import PeeweeConvError
from peewee_conv.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
WEB_PAGES = [DOCS / "flask.md", DOCS / "metrics.md", DOCS / "viewer.md"]  # their samples need an extra: see tests/web
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=ticks)[ ]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
FILE = re.compile(r"# ([\w/]+\.py)\n")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Block(NamedTuple):
    """One fenced block of a page."""

    info: str
    body: str
    line: int


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = FENCE.finditer(text)
    return [Block(m["info"].strip(), m["body"], text.count("\n", 0, m.start("body"))) for m in found]


def prose_of(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def section_of(page: Path, heading: str) -> str:
    """Return the text below a heading, up to the next heading."""
    _, _, rest = page.read_text(encoding="utf-8").partition(f"# `{heading}`\n")
    return re.split(r"^#+ ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def slugs_of(page: Path) -> set[str]:
    """Return the anchors that GitHub and the documentation give to the headings of a page."""
    titles = HEADING.findall(prose_of(page))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# --- the samples --------------------------------------------------------------------------------------------------


def run_session(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    """Run a block with prompts and compare what it shows."""
    test = doctest.DocTestParser().get_doctest(block.body, {}, page.name, str(page), block.line)
    test.globs = namespace
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=report.write, clear_globs=False)
    assert runner.failures == 0, report.getvalue()


def run_program(block: Block, page: Path, namespace: dict[str, Any]) -> str:
    """Run a block without prompts and return what it printed; tracebacks have the line numbers of the page."""
    printed = io.StringIO()
    code = compile("\n" * block.line + block.body, str(page), "exec", dont_inherit=True)
    with contextlib.redirect_stdout(printed):
        exec(code, namespace)
    return printed.getvalue()


def run_page(page: Path, namespace: dict[str, Any]) -> None:
    """Run all blocks; one that starts with the name of a file becomes that file, as it would for a reader."""
    printed = ""
    for block in blocks_of(page):
        if block.info == "output":
            assert doctest.OutputChecker().check_output(block.body, printed, FLAGS), f"{page.name} printed:\n{printed}"
        elif block.info in ("python", "pycon") and ">>> " in block.body:
            run_session(block, page, namespace)
        elif block.info == "python" and (named := FILE.match(block.body)):
            Path(named[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(named[1]).write_text(block.body, encoding="utf-8")
        elif block.info == "python":
            printed = run_program(block, page, namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if page not in WEB_PAGES], ids=lambda page: page.name)
def test_samples_of_a_page_run_in_their_order(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    run_page(page, {"__name__": "sample", "folder": str(tmp_path)})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_sample_of_a_page_is_left_out(page: Path) -> None:
    unrun = [block for block in blocks_of(page) if block.info not in ("python", "pycon")]

    assert [block.line for block in unrun if ">>> " in block.body or not block.info] == []
    assert ">>> " not in prose_of(page)


# --- pages and links ----------------------------------------------------------------------------------------------


def test_every_page_is_in_the_table_of_contents_once() -> None:
    trees = [block.body for block in blocks_of(DOCS / "index.md") if block.info == "{toctree}"]
    entries = [line for body in trees for line in body.split() if not line.startswith(":") and line[0].isalpha()]
    named = [line for line in entries if (DOCS / f"{line}.md").is_file()]

    assert sorted(named) == sorted(page.stem for page in DOCS.glob("*.md") if page.stem != "index")


def test_no_page_has_a_name_of_sphinx_itself() -> None:
    # Sphinx writes its own search.html over that of search.md and says nothing: call the page full-text-search.md.
    assert [name for name in ("search", "genindex", "modindex") if (DOCS / f"{name}.md").exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        if not other.exists() or (anchor and anchor not in slugs_of(other)):
            broken.append(target)

    assert broken == []


# --- nothing public is left out -----------------------------------------------------------------------------------

CAUSE = "another writer of this process held the file for 30 s"
SAMPLES: dict[str, PeeweeConvError] = {
    type(error).__name__: error
    for error in (
        errors.MissingExtra("the viewer", "Flask", "web"),
        errors.ProjectNotBound(),
        errors.ProjectDisposed("projects/aurora"),
        errors.DatabaseGone("projects/aurora/.peewee_conv/assistant.db", "was replaced while it was being opened"),
        errors.InvalidProjectName("../aurora", "it has a character that is not allowed, or a bad length"),
        errors.ProjectNotFound("aurora"),
        errors.NoCurrentProject(),
        errors.InvalidArgument("limit", 0, "a whole number from 1 to 1000"),
        errors.InvalidRole("robot", ("system", "user", "assistant", "tool", "developer")),
        errors.InvalidContent("it is NoneType, not text", "a str"),
        errors.AlreadyExists("conversation", "c-17"),
        errors.AssistantNotFound("a-17"),
        errors.ConversationNotFound("c-17"),
        errors.MessageNotFound(17),
        errors.UserNotFound("u-17"),
        errors.DatasetNotFound("d-17"),
        errors.FeatureNotFound(17),
        errors.ScheduleNotFound(17),
        errors.LimitReached("open connections", 64, "close scopes, or raise the limit"),
        errors.RateLimited(100_000, 99_500, 62.0),
        errors.ReferralKeyInvalid(),
        errors.ReferralKeyRequired(),
        errors.DependencyCycle([1, 2, 1]),
        errors.MessageStateConflict(17, "it is complete"),
        errors.FeatureStateConflict(17, "it is not in progress"),
        errors.ImportRejected("talks.jsonl", 3, "no JSON object"),
        errors.DatabaseBusy("assistant.db", CAUSE),
        errors.FileAlreadyExists("aurora.db"),
        errors.ProjectInUse("aurora", "the project is in use with another durability"),
        errors.DatabaseFull("assistant.db", "database or disk is full"),
        errors.DatabaseIOError("assistant.db", "disk I/O error"),
        errors.DatabaseReadOnly("assistant.db", "attempt to write a readonly database"),
        errors.DatabaseCorrupt("assistant.db", "file is not a database"),
        errors.ForeignDatabase("assistant.db", "this database was not made by peewee_conv"),
        errors.SourceNotRecognised("notes.db", "its tables are those of no system that is known here"),
        errors.SchemaTooNew("assistant.db", 3, 1),
        errors.MigrationFailed("tickets.db", "0002_priority", "OperationalError: no such table: tickets"),
    )
}
BASES = {"PeeweeConvError", "NotFound", "DatabaseFailure"}


def public_errors() -> list[str]:
    return [
        name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, PeeweeConvError)
    ]


def test_every_error_has_a_sample_here() -> None:
    assert sorted(SAMPLES) == sorted(set(public_errors()) - BASES)


@pytest.mark.parametrize("name", public_errors())
def test_errors_page_has_the_text_the_cause_and_the_cure_of_each_error(name: str) -> None:
    section = section_of(DOCS / "errors.md", name)

    assert section.strip(), f"docs/errors.md has no heading for {name}"
    if name not in BASES:
        assert str(SAMPLES[name]) in section
        assert "**Cause.**" in section
        assert "**Cure.**" in section


def test_errors_page_names_no_error_that_does_not_exist() -> None:
    headings = re.findall(r"^#+ `(\w+)`$", (DOCS / "errors.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(headings) == sorted(public_errors())


@pytest.mark.parametrize("name", Settings._fields)
def test_config_page_has_each_setting_with_its_default(name: str) -> None:
    default = Settings._field_defaults[name]
    shown = f'"{default}"' if isinstance(default, str) else getattr(default, "__name__", repr(default))

    assert f"**Default:** `{shown}`" in section_of(DOCS / "config.md", name)


def test_config_page_names_no_setting_that_does_not_exist() -> None:
    headings = re.findall(r"^#+ `(\w+)`$", (DOCS / "config.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(headings) == sorted([*Settings._fields, "set_connection_limit"])


def commands() -> list[str]:
    help_text = io.StringIO()
    with contextlib.redirect_stdout(help_text), contextlib.suppress(SystemExit):
        cli.main(["--help"])
    found = re.search(r"\{([a-z,-]+)\}", help_text.getvalue())
    return found[1].split(",") if found else []


def test_cli_page_has_each_command() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")

    assert [name for name in commands() if f"peewee-conv {name}" not in text] == []
    assert len(commands()) > 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_command_lines_of_a_page_are_accepted(page: Path) -> None:
    lines = [line for block in blocks_of(page) if block.info == "sh" for line in block.body.splitlines()]
    wrong = [line for line in lines if line.startswith("peewee-conv ") and not is_accepted(line)]

    assert wrong == []


def is_accepted(line: str) -> bool:
    """Say whether the command line parses; nothing is run. What follows a pipe or redirection is the shell's."""
    words = itertools.takewhile(lambda word: word not in ("|", ">", "&&"), shlex.split(line, comments=True))
    try:
        build_parser().parse_args(list(words)[1:])
    except SystemExit as left:
        return not left.code
    return True


# --- what is generated --------------------------------------------------------------------------------------------


def test_schema_page_is_what_the_migrations_make() -> None:
    spec = importlib.util.spec_from_file_location("generate_schema", DOCS / "generate_schema.py")
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)

    expected = generator.render()

    assert (DOCS / "schema.md").read_text(encoding="utf-8") == expected, "run: python docs/generate_schema.py"


@pytest.mark.parametrize("mark", ["main job", "tests"])
def test_readme_has_each_command_as_one_line_to_paste(mark: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^<!-- {mark} -->\n```sh\n(.*?)```$", text, re.MULTILINE | re.DOTALL)

    assert block.startswith("python3 -m venv .venv && .venv/bin/pip install -q ")
    assert block.count("\n") == 1

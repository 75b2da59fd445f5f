"""Every example in a docstring of the package does what it shows."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import peewee_conv
from peewee_conv.errors import MissingExtra


def is_importable(name: str) -> bool:
    """Say whether what the module needs is installed; each environment of the tests has other extras."""
    try:
        importlib.import_module(name)
    except MissingExtra:
        return False
    return True


MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages(peewee_conv.__path__, "peewee_conv.")
    if not name.endswith("__main__") and ".migrations" not in name and is_importable(name)
)


@pytest.mark.parametrize("name", ["peewee_conv", *MODULES])
def test_docstring_examples_do_what_they_show(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)

    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)

    assert failed == 0  # the report is in the captured output


def test_public_nouns_have_an_example() -> None:
    from peewee_conv.services.assistants import Assistants
    from peewee_conv.services.conversations import Conversations

    nouns = (peewee_conv.Project, peewee_conv.Projects, Assistants, Conversations)

    assert [noun.__name__ for noun in nouns if ">>>" not in (noun.__doc__ or "")] == []

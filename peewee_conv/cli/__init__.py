"""The ``peewee-conv`` command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    :param argv: the arguments; ``None`` takes those of the process.
    """
    parser = argparse.ArgumentParser(prog="peewee-conv")
    parser.parse_args(argv)
    return 0

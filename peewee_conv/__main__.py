"""``python -m peewee_conv`` is ``peewee-conv``."""

from __future__ import annotations

import sys

from peewee_conv.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""``NamedTuple`` as ``typing`` has it, for modules that every start loads: importing ``typing`` takes milliseconds.

>>> class Point(NamedTuple):
...     x: int
...     y: int = 0
>>> Point(1)
Point(x=1, y=0)
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Maker(type):
        def __new__(kind, name, bases, namespace):
            types = namespace["__annotations__"]
            defaults = [namespace.pop(field) for field in types if field in namespace]
            made = namedtuple(name, types, defaults=defaults)
            made.__new__.__annotations__ = types  # for who looks at the signature
            for key, value in namespace.items():
                setattr(made, key, value)
            return made

    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})

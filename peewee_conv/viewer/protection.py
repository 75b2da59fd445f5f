"""What keeps a viewer from being used against its users: headers, methods, names of hosts.

>>> is_trusted("127.0.0.1:8000", frozenset()), is_trusted("[::1]:8000", frozenset())
(True, True)
>>> is_trusted("attacker.example:8000", frozenset()), is_trusted("viewer.lan", frozenset({"viewer.lan"}))
(False, True)
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

#: Nothing but what the viewer itself serves: no script at all, and nobody may frame it.
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
METHODS: Final = ("GET", "HEAD")

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::\d{1,5})?", re.IGNORECASE)


def is_trusted(host: str, trusted: frozenset[str]) -> bool:
    """Say whether a ``Host`` is this machine by a name that no stranger can give it.

    A page of the internet reaches a server on a loopback address by a DNS name that leads there, which the browser
    then sends as ``Host``. An address in numbers, and ``localhost``, cannot be such a name.

    :param trusted: further names, in lower case.
    """
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = found[1].strip("[]").lower().rstrip(".")
    return name == "localhost" or name in trusted or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

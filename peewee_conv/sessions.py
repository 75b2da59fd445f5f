"""Secrets and how long they are good for: no database here.

A token or key leaves this module in clear once, when it is made; everything else works with its SHA-256. 256 or 128
random bits need no salt and no slow hash.
"""

from __future__ import annotations

from typing import NamedTuple

from .periods import seconds_between, shifted

PREFIX_LENGTH = 4
_MAX_LENGTH = 255
_CLOCK_STEP = 300  # seconds by which clocks of a healthy system are set back at most


class SessionLimits(NamedTuple):
    """How long sessions live.

    :param idle_seconds: a session that is not used for so long ends.
    :param absolute_seconds: every session ends so long after its sign-in.
    :param renew_seconds: the use of a session is noted once in so long at most: a session may end that much sooner
        than *idle_seconds* after its last use.
    """

    idle_seconds: int = 7 * 86_400
    absolute_seconds: int = 30 * 86_400
    renew_seconds: int = 3_600


def new_token() -> str:
    """Return a new session token: 256 random bits as 43 characters that need no quoting in a cookie."""
    import secrets  # here: it costs a millisecond, which `import peewee_conv` need not pay

    return secrets.token_urlsafe(32)


def new_key() -> str:
    """Return a new referral key: 128 random bits as 32 characters that survive a telephone."""
    import secrets

    return secrets.token_hex(16)


def digest(secret: object) -> str | None:
    """Return the SHA-256 of a token or key in hexadecimal, or ``None`` for what can be neither."""
    if not isinstance(secret, str) or not 0 < len(secret) <= _MAX_LENGTH:
        return None
    import hashlib

    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def is_same(stored: str, given: str) -> bool:
    """Compare two digests in a time that does not depend on them."""
    import hmac

    return hmac.compare_digest(stored, given)


def first_expiry(now: str, limits: SessionLimits) -> str:
    """Return when a session that begins *now* ends, unless it is used before."""
    return shifted(now, min(limits.idle_seconds, limits.absolute_seconds))


def due_expiry(created_at: str, expires_at: str, now: str, limits: SessionLimits) -> str | None:
    """Return when a session that is used *now* should end, or ``None`` if it is over.

    It is *expires_at* again while the difference is not worth a write. A clock that was set back lengthens nothing: a
    session from the future is over, and no expiry is further away than a use at this moment allows.
    """
    end = shifted(created_at, limits.absolute_seconds)
    if now >= min(expires_at, end) or created_at > shifted(now, _CLOCK_STEP):
        return None
    due = min(shifted(now, limits.idle_seconds), end)
    return due if abs(seconds_between(due, expires_at)) >= limits.renew_seconds else expires_at

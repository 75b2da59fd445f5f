"""Sessions, referral keys and the sign-in of ChatDF.

Tokens and keys are secrets of our own kind: the file has only their SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..account_records import SignIn
from ..errors import ReferralKeyInvalid, ReferralKeyRequired
from .chatdf_connection import Connection
from .chatdf_errors import translated


async def validate_referral_key(db: Connection, key: str | None) -> bool:
    """Say whether a new user could sign up with the key now; only :func:`google_callback` makes sure of it."""
    return await db.accounts.is_key_valid(key)


async def mark_key_used(db: Connection, key: str, user_id: str) -> None:
    """Use a referral key up for a user, once and for ever. :func:`google_callback` does it for new ones.

    :raises ConflictError: the key is unknown or used.
    :raises NotFoundError: the user does not exist.
    """
    with translated():
        await db.accounts.claim_key(key, user_id)
    await db.commit()


async def create_session(db: Connection, user_id: str) -> str:
    """Begin a session of a user and return its token.

    :raises NotFoundError: the user does not exist.
    """
    with translated():
        session = await db.accounts.create_session(user_id)
    await db.commit()
    return session.token


async def validate_session(db: Connection, session_token: str | None) -> dict[str, Any] | None:
    """Return ``id``, ``email``, ``name`` and ``avatar_url`` of a session's user, or ``None`` where it is over.

    The session is prolonged. That is written down once an hour at most.
    """
    user = await db.accounts.validate_session(session_token)
    if user is None:
        return None
    return {"id": user.id, "email": user.email, "name": user.name, "avatar_url": user.avatar_url}


async def delete_session(db: Connection, session_token: str | None) -> None:
    """End a session, if there is one."""
    await db.accounts.sign_out(session_token)
    await db.commit()


async def google_callback(*, userinfo: Mapping[str, Any], referral_key: str | None, db: Connection) -> dict[str, Any]:
    """Sign a user in, and up if they are new: one transaction, all of it or nothing.

    :param userinfo: ``sub``, ``email``, ``name`` and ``picture``; a known user's profile is refreshed by them.
    :param referral_key: needed by a new user, and used up by them.
    :returns: ``session_token``, ``is_new_user``, ``error`` and ``user_id``; the error is ``None``,
        ``"referral_key_required"`` or ``"invalid_referral_key"``.
    :raises InvalidArgument: the profile is not allowed.
    """
    profile = {
        "google_id": userinfo["sub"],
        "email": userinfo.get("email", ""),
        "name": userinfo.get("name", ""),
        "avatar_url": userinfo.get("picture"),
    }
    await db.accounts.purge_expired()
    try:
        entry = await db.accounts.sign_in(profile, referral_key=referral_key)
    except ReferralKeyRequired:
        return _answer(None, "referral_key_required")
    except ReferralKeyInvalid:
        return _answer(None, "invalid_referral_key")
    await db.commit()
    return _answer(entry, None)


def _answer(entry: SignIn | None, error: str | None) -> dict[str, Any]:
    return {
        "session_token": entry and entry.token,
        "is_new_user": entry is not None and entry.is_new,
        "error": error,
        "user_id": entry and entry.user.id,
    }

"""Accounts: users who sign in, their sessions, and the referral keys that let new ones in."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from .. import arguments, keyset, search_index, sessions
from ..account_records import NewSession, ReferralKey, SignIn, User
from ..database.handle import Handle
from ..errors import (
    DatabaseBusy,
    DatabaseFull,
    DatabaseReadOnly,
    InvalidArgument,
    ReferralKeyInvalid,
    ReferralKeyRequired,
    UserNotFound,
)
from ..ids import check_id, new_id
from ..records import Page
from ..sessions import PREFIX_LENGTH, SessionLimits

_USER = "id, google_id, email, name, avatar_url, created_at, last_login_at"
_KEY = "id, prefix, created_by, used_by, created_at, used_at"
_PROFILE = frozenset(("google_id", "email", "name", "avatar_url"))
_TEN_YEARS = 10 * 366 * 86_400
# Who cannot note that a session was used goes on: it then ends sooner, never later.
_CANNOT_WRITE_NOW = (DatabaseBusy, DatabaseFull, DatabaseReadOnly)

_FIND = f"SELECT {_USER} FROM users WHERE id = ?"
_LIST = f"SELECT {_USER} FROM users WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?"
_REFRESH = (
    "UPDATE users SET email = ?, name = ?, avatar_url = ?, last_login_at = max(last_login_at, ?)"
    f" WHERE google_id = ? RETURNING {_USER}"
)
_INSERT_USER = f"INSERT INTO users ({_USER}) VALUES (?, ?, ?, ?, ?, ?, ?)"
_INSERT_SESSION = "INSERT INTO sessions (id, user_id, token_hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
_FIND_SESSION = (
    "SELECT sessions.id, token_hash, sessions.created_at, expires_at,"
    " users.id, google_id, email, name, avatar_url, users.created_at, last_login_at"
    " FROM sessions JOIN users ON users.id = user_id WHERE token_hash = ?"
)
_LIST_KEYS = (
    f"SELECT {_KEY} FROM referral_keys WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?"
)
_INSERT_KEY = (
    "INSERT INTO referral_keys (id, key_hash, prefix, created_by, created_at)"
    " SELECT :id, :key_hash, :prefix, :created_by, :now"
    " WHERE :created_by IS NULL OR EXISTS (SELECT 1 FROM users WHERE id = :created_by)"
)
# used_at, not used_by, which is NULL again when the user is deleted: used once is used for ever.
_CLAIM = "UPDATE referral_keys SET used_by = ?, used_at = ? WHERE key_hash = ? AND used_at IS NULL"


class Accounts:
    """The users of a project, as ``project.accounts``.

    Tokens and keys are returned once and never stored: the file has their SHA-256.

    >>> import tempfile
    >>> from peewee_conv import Project
    >>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
    ...     key = project.accounts.create_key()
    ...     profile = {"google_id": "g-1", "email": "ada@example.com", "name": "Ada"}
    ...     entry = project.accounts.sign_in(profile, referral_key=key)
    ...     project.accounts.validate_session(entry.token).name
    ...     project.accounts.is_key_valid(key)
    ...     project.accounts.sign_out(entry.token), project.accounts.validate_session(entry.token)
    ...     project.dispose()
    'Ada'
    False
    (True, None)
    True
    """

    def __init__(self, handle: Handle, limits: SessionLimits | None = None) -> None:
        self._handle = handle
        self._now = handle.binding.settings.now
        self._limits = limits or SessionLimits()

    def with_session_limits(
        self, *, idle_seconds: int = 604_800, absolute_seconds: int = 2_592_000, renew_seconds: int = 3_600
    ) -> Accounts:
        """Return the same service with other limits for sessions.

        :param idle_seconds: a session that is not used for so long ends; 7 days.
        :param absolute_seconds: every session ends so long after its sign-in, however much it is used; 30 days.
        :param renew_seconds: a validation writes once in so long at most; one hour. 0 to *idle_seconds*.
        """
        arguments.whole("idle_seconds", idle_seconds, 1, _TEN_YEARS)
        arguments.whole("absolute_seconds", absolute_seconds, 1, _TEN_YEARS)
        arguments.whole("renew_seconds", renew_seconds, 0, idle_seconds)
        return Accounts(self._handle, SessionLimits(idle_seconds, absolute_seconds, renew_seconds))

    # --- signing in and out ---

    def sign_in(self, profile: Mapping[str, str | None], referral_key: str | None = None) -> SignIn:
        """Sign a user in, and up if they are new: one transaction, all of it or nothing.

        :param profile: ``google_id``, ``email``, ``name`` and, if there is one, ``avatar_url``; those of a user who
            is known already are refreshed. Nothing else is taken.
        :param referral_key: needed by a new user, and used up by them; that of a known user is left alone.
        :returns: the user and the token of a new session, which is not stored and cannot be shown again.
        :raises ReferralKeyRequired: the user is new and has no key.
        :raises ReferralKeyInvalid: the user is new and the key is unknown or used.
        :raises InvalidArgument: the profile is not allowed.
        """
        checked = _check_profile(profile)
        is_left_out = referral_key is None or (isinstance(referral_key, str) and not referral_key)
        key_hash = None if is_left_out else sessions.digest(referral_key) or ""
        token, begin, session = self._new_session()
        user, is_new = self._handle.write(_sign_in, checked, key_hash, begin, session)
        return SignIn.of((token, user[0], session[2], is_new, *user))

    def create_session(self, user_id: str) -> NewSession:
        """Begin one more session of a user, for example on another device.

        :raises UserNotFound: there is none of that id.
        """
        token, _, session = self._new_session()
        if not self._handle.write(_create_session, check_id("user_id", user_id), session):
            raise UserNotFound(user_id)
        return NewSession.of((token, user_id, session[2]))

    def validate_session(self, token: str | None) -> User | None:
        """Return the user of a session, or ``None``: unknown, expired and malformed tokens are not told apart.

        A valid session is prolonged. That is written down once in ``renew_seconds`` at most, and never waited for, so
        that a validation costs one read.
        """
        digest = sessions.digest(token)
        if digest is None:
            return None
        row = self._handle.read(_one, _FIND_SESSION, (digest,))
        if row is None or not sessions.is_same(row[1], digest):
            return None
        due = sessions.due_expiry(row[2], row[3], self._now(), self._limits)
        if due is None:
            return None
        if due != row[3]:
            self._prolong(row[0], row[3], due)
        return User.of(row[4:])

    def sign_out(self, token: str | None) -> bool:
        """End a session; return whether there was one."""
        digest = sessions.digest(token)
        if digest is None:
            return False
        return self._handle.write_statement(_change, "DELETE FROM sessions WHERE token_hash = ?", (digest,)) == 1

    def sign_out_everywhere(self, user_id: str) -> int:
        """End all sessions of a user; return how many there were, expired ones included."""
        params = (check_id("user_id", user_id),)
        return self._handle.write_statement(_change, "DELETE FROM sessions WHERE user_id = ?", params)

    def purge_expired(self) -> int:
        """Delete the sessions that are over, whose rows nobody needs; return how many."""
        return self._handle.write_statement(_change, "DELETE FROM sessions WHERE expires_at <= ?", (self._now(),))

    # --- users ---

    def get(self, user_id: str) -> User:
        """Return a user.

        :raises UserNotFound: there is none of that id.
        """
        found = self.find(user_id)
        if found is None:
            raise UserNotFound(user_id)
        return found

    def find(self, user_id: str) -> User | None:
        """Return a user, or ``None``."""
        row = self._handle.read(_one, _FIND, (check_id("user_id", user_id),))
        return None if row is None else User.of(row)

    def list(self, *, limit: int = 50, after: str | None = None) -> Page[User]:
        """Return a page of users, the newest first.

        :param limit: rows of the page, 1 to 1000.
        :param after: the ``next`` of the page before.
        """
        arguments.whole("limit", limit, 1, 1000)
        rows = self._handle.read(_all, _LIST, (*keyset.parse(after), limit + 1))
        return keyset.page(User.all_of(rows), limit, lambda last: (last[5], last[0]))

    def delete(self, user_id: str) -> bool:
        """Delete a user with all sessions, conversations and usage; return whether there was one.

        The referral key that they used stays used.
        """
        return self._handle.write(_delete, check_id("user_id", user_id))

    # --- referral keys ---

    def create_key(self, created_by: str | None = None) -> str:
        """Make a referral key for one new user and return it, here and never again.

        :param created_by: the id of the user who invites.
        :raises UserNotFound: there is none of that id.
        """
        if created_by is not None:
            check_id("created_by", created_by)
        key = sessions.new_key()
        row = {
            "id": new_id(),
            "key_hash": sessions.digest(key),
            "prefix": key[:PREFIX_LENGTH],
            "created_by": created_by,
            "now": self._now(),
        }
        if self._handle.write_statement(_change, _INSERT_KEY, row) != 1:
            raise UserNotFound(created_by)
        return key

    def list_keys(self, *, limit: int = 50, after: str | None = None) -> Page[ReferralKey]:
        """Return a page of referral keys, the newest first: prefix and use, never the key.

        :param limit: rows of the page, 1 to 1000.
        :param after: the ``next`` of the page before.
        """
        arguments.whole("limit", limit, 1, 1000)
        rows = self._handle.read(_all, _LIST_KEYS, (*keyset.parse(after), limit + 1))
        return keyset.page(ReferralKey.all_of(rows), limit, lambda last: (last[4], last[0]))

    def is_key_valid(self, key: str | None) -> bool:
        """Say whether a new user could sign up with the key now. Only :meth:`sign_in` makes sure of it."""
        digest = sessions.digest(key)
        if digest is None:
            return False
        sql = "SELECT 1 FROM referral_keys WHERE key_hash = ? AND used_at IS NULL"
        return self._handle.read(_one, sql, (digest,)) is not None

    def claim_key(self, key: str, user_id: str) -> None:
        """Use a referral key up for a user who exists. :meth:`sign_in` does this for new ones.

        :raises UserNotFound: there is none of that id.
        :raises ReferralKeyInvalid: the key is unknown or used.
        """
        check_id("user_id", user_id)
        self._handle.write(_claim, sessions.digest(key), user_id, self._now())

    # --- what the verbs share ---

    def _new_session(self) -> tuple[str, str, tuple[Any, ...]]:
        """Return a token, the time, and the columns of its session: hash, begin, end."""
        token, now = sessions.new_token(), self._now()
        return token, now, (sessions.digest(token), now, sessions.first_expiry(now, self._limits))

    def _prolong(self, session_id: str, expires_at: str, due: str) -> None:
        # Only from the expiry that was judged: others may have prolonged or ended it meanwhile.
        sql = "UPDATE sessions SET expires_at = ? WHERE id = ? AND expires_at = ?"
        with suppress(*_CANNOT_WRITE_NOW):
            self._handle.write_if_free(_change, sql, (due, session_id, expires_at))


def _check_profile(profile: Mapping[str, str | None]) -> tuple[str, str, str, str | None]:
    if not isinstance(profile, Mapping) or not _PROFILE >= profile.keys() >= _PROFILE - {"avatar_url"}:
        names = sorted(map(str, profile)) if isinstance(profile, Mapping) else type(profile).__name__
        raise InvalidArgument("profile", names, "a mapping with google_id, email, name and, if wanted, avatar_url")
    return (
        check_id("profile['google_id']", profile["google_id"]),
        arguments.text("profile['email']", profile["email"], 320, may_be_blank=False),
        arguments.text("profile['name']", profile["name"], 255),
        arguments.optional_text("profile['avatar_url']", profile.get("avatar_url"), 2048),
    )


def _one(connection: sqlite3.Connection, sql: str, params: tuple[Any, ...]) -> Any:
    return connection.execute(sql, params).fetchone()


def _all(connection: sqlite3.Connection, sql: str, params: tuple[Any, ...]) -> list[Any]:
    return connection.execute(sql, params).fetchall()


def _change(connection: sqlite3.Connection, sql: str, params: tuple[Any, ...] | dict[str, Any]) -> int:
    return connection.execute(sql, params).rowcount


def _sign_in(
    connection: sqlite3.Connection,
    profile: tuple[str, str, str, str | None],
    key_hash: str | None,
    now: str,
    session: tuple[Any, ...],
) -> tuple[Any, bool]:
    # fetchall() runs the statement to its end: one row, google_id being unique.
    known = connection.execute(_REFRESH, (*profile[1:], now, profile[0])).fetchall()
    user = known[0] if known else _sign_up(connection, profile, key_hash, now)
    connection.execute(_INSERT_SESSION, (new_id(), user[0], *session))
    return user, not known


def _sign_up(
    connection: sqlite3.Connection, profile: tuple[str, str, str, str | None], key_hash: str | None, now: str
) -> tuple[Any, ...]:
    if key_hash is None:
        raise ReferralKeyRequired
    user = (new_id(), *profile, now, now)
    connection.execute(_INSERT_USER, user)
    _claim(connection, key_hash, user[0], now)
    return user


def _claim(connection: sqlite3.Connection, key_hash: str | None, user_id: str, now: str) -> None:
    if _one(connection, _FIND, (user_id,)) is None:
        raise UserNotFound(user_id)
    if connection.execute(_CLAIM, (user_id, now, key_hash)).rowcount != 1:
        raise ReferralKeyInvalid  # which takes the new user back


def _create_session(connection: sqlite3.Connection, user_id: str, session: tuple[Any, ...]) -> bool:
    if _one(connection, _FIND, (user_id,)) is None:
        return False
    connection.execute(_INSERT_SESSION, (new_id(), user_id, *session))
    return True


def _delete(connection: sqlite3.Connection, user_id: str) -> bool:
    search_index.remove_all(connection, "user_id", user_id)
    return connection.execute("DELETE FROM users WHERE id = ?", (user_id,)).rowcount == 1

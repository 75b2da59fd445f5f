"""Who sends a request: sessions in cookies, a demo in the place of an identity provider, and tokens against CSRF.

The token of a form is derived from a secret that only this browser has, in a cookie that scripts cannot read: that of
the session, or before the sign-in a random one. So any process can check it, and there is no key to share.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import NoReturn

from flask import Response, abort, current_app, g, jsonify, make_response, request, url_for

from peewee_conv.account_records import SignIn, User
from peewee_conv.errors import ReferralKeyRequired
from peewee_conv.flask_ext import current_project

SESSION, VISITOR = "chat_session", "chat_visitor"
_SAFE = ("GET", "HEAD", "OPTIONS")


def believe(form: Mapping[str, str]) -> dict[str, str | None]:
    """Return the profile of whoever signs in. A demo: it believes what it is told.

    A real application sends the user to its provider and returns here what the provider has signed.
    """
    email = str(form.get("email", "")).strip().lower()
    return {"google_id": f"demo:{email}", "email": email, "name": str(form.get("name", "")).strip() or email}


def sign_in(form: Mapping[str, str]) -> SignIn:
    """Begin a session of whoever the form is from.

    :raises ReferralKeyInvalid: the user is new and has no invitation that holds.
    """
    profile = current_app.config["CHAT_IDENTIFY"](form)
    accounts = current_project.accounts
    try:
        return accounts.sign_in(profile, referral_key=str(form.get("invitation", "")).strip())
    except ReferralKeyRequired:
        if not current_app.config["CHAT_OPEN"]:
            raise
        return accounts.sign_in(profile, referral_key=accounts.create_key())


def remember(response: Response, entry: SignIn) -> Response:
    """Put the session of *entry* into the cookie of its project."""
    _set_cookie(response, SESSION, entry.token, samesite="Lax")
    return response


def sign_out(response: Response) -> Response:
    """End the session of the request."""
    current_project.accounts.sign_out(request.cookies.get(SESSION))
    response.delete_cookie(SESSION, path=_path())
    return response


def user() -> User | None:
    """Return who is signed in, or ``None``."""
    if "user" not in g:
        g.user = current_project.accounts.validate_session(request.cookies.get(SESSION))
    found: User | None = g.user
    return found


def required_user() -> User:
    """Return who is signed in, or answer 401."""
    found = user()
    if found is None:
        refuse(401, "sign in first")
    return found


def refuse(status: int, message: str) -> NoReturn:
    """Answer with an error in JSON."""
    abort(make_response(jsonify(error="Refused", message=message), status))


# --- forms of other sites ---


def csrf_token() -> str:
    """Return the token that a form, or the header ``X-CSRF-Token``, of this browser must have."""
    secret = request.cookies.get(SESSION) or request.cookies.get(VISITOR) or g.get("visitor")
    if secret is None:
        secret = g.visitor = secrets.token_urlsafe(32)
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def check_csrf() -> None:
    """Refuse a request that changes something and does not come from a page of ours; for ``before_request``."""
    if request.method in _SAFE:
        return
    given = request.headers.get("X-CSRF-Token") or request.form.get("csrf_token", "")
    if not hmac.compare_digest(given.encode(), csrf_token().encode()):
        refuse(403, "the form is too old, load the page again")


def remember_visitor(response: Response) -> Response:
    """Give a browser that was shown a form its secret; for ``after_request``."""
    if "visitor" in g:
        _set_cookie(response, VISITOR, g.visitor, samesite="Strict")
    return response


def _set_cookie(response: Response, name: str, value: str, *, samesite: str) -> None:
    response.set_cookie(name, value, path=_path(), secure=request.is_secure, httponly=True, samesite=samesite)


def _path() -> str:
    return url_for("pages.talks", project=(request.view_args or {})["project"])

"""What tests of accounts, datasets and usage share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from peewee_conv import Project
from peewee_conv.account_records import SignIn

START = datetime(2026, 3, 1, 12, tzinfo=UTC)  # where the clock of the fixture stands


class Clock(Protocol):
    """The fixture ``clock``."""

    moment: datetime

    @property
    def text(self) -> str: ...

    def __call__(self) -> str: ...

    def advance(self, seconds: float = 0.0, **kwargs: float) -> datetime: ...


def profile(name: str = "ada") -> dict[str, str | None]:
    return {
        "google_id": f"google-{name}",
        "email": f"{name}@example.com",
        "name": name.title(),
        "avatar_url": f"https://example.com/{name}.png",
    }


def sign_up(project: Project, name: str = "ada") -> SignIn:
    """Make a user by the only way there is, and return their first sign-in."""
    return project.accounts.sign_in(profile(name), referral_key=project.accounts.create_key())

"""``users``, ``usage`` and ``keys``: who may sign in, and what they use."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from peewee_conv.account_records import UsageTotal

from . import projects
from .console import Column, Console
from .parser import Commands, Parser, moment, whole_number
from .text import cells, one_line, pad, plural, shorten

_DAYS = 30
_BAR = 40  # cells of the longest bar, where there is room
_LABEL = 36  # cells of the longest label: those of an id


def add_commands(commands: Commands) -> None:
    """Add the three commands."""
    _add_users(commands)
    _add_usage(commands)
    _add_keys(commands)


def _add_page(parser: Parser) -> None:
    parser.add_argument("--limit", metavar="N", type=whole_number, default=20, help="at most N, up to 1000 (20)")
    parser.add_argument("--after", metavar="CURSOR", help="go on after a page: the 'next' of its JSON answer")


def _say_more(console: Console, next: str | None) -> None:
    if next:
        console.say(f"\nmore follow: --limit N, or --after {shlex.quote(next)}")


def _when(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


# --- users ---


def _add_users(commands: Commands) -> None:
    parser = commands.add(
        "users",
        _users,
        summary="list users, the newest first",
        usage="[--limit N] [--after CURSOR] [options]",
        details="Times are in UTC. In a narrow terminal names are cut, and ids left out.",
        examples=("peewee-conv users --project projects/aurora", "peewee-conv users --limit 1000 --json"),
    )
    _add_page(parser)


def _users(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args) as project:
        page = project.accounts.list(limit=args.limit, after=args.after)
    if console.as_json:
        console.json({"users": [user.to_dict() for user in page], "next": page.next})
        return 0
    if not page:
        console.say("no users")
        return 0
    columns = [
        Column("name", may_shrink=True),
        Column("email", may_shrink=True),
        Column("signed up", may_go=True),
        Column("last sign-in"),
        Column("id", may_go=True),
    ]
    rows = [(user.name, user.email, _when(user.created_at), _when(user.last_login_at), user.id) for user in page]
    console.table(columns, rows)
    _say_more(console, page.next)
    return 0


# --- usage ---


def _add_usage(commands: Commands) -> None:
    parser = commands.add(
        "usage",
        _usage,
        summary="show the tokens that were used, as a bar for each day",
        usage="[--by WHAT] [--since TIME] [--until TIME] [options]",
        details=f"Without --since it shows the last {_DAYS} days. Days are those of UTC.",
        examples=(
            "peewee-conv usage --project projects/aurora",
            "peewee-conv usage --by model --since 2026-03-01 --json",
        ),
    )
    by = ("day", "user", "model", "conversation")
    parser.add_argument("--by", choices=by, metavar="WHAT", default="day", help=f"a bar for each: {', '.join(by)}")
    parser.add_argument("--since", metavar="TIME", type=moment, help="only from this time on, such as 2026-03-01")
    parser.add_argument("--until", metavar="TIME", type=moment, help="only before this time; UTC unless it says so")
    parser.add_argument("--user", metavar="ID", help="only usage of this user")
    parser.add_argument("--model", metavar="NAME", help="only usage of this model")


def _usage(args: argparse.Namespace, console: Console) -> int:
    since = _first_day(args.until) if args.since is None else args.since
    with projects.existing(args) as project:
        filters = {"user_id": args.user, "model_name": args.model, "since": since, "until": args.until}
        totals = project.usage.totals(args.by, **filters)
        total = project.usage.total(**filters)
    if console.as_json:
        answer = {"by": args.by, "since": since.isoformat().replace("+00:00", "Z")}
        console.json({**answer, "totals": [part.to_dict() for part in totals], "total": total.to_dict()})
        return 0
    if not totals:
        console.say(f"no usage since {_when(since)} UTC")
        return 0
    _print_bars(console, _with_every_day(totals) if args.by == "day" else totals)
    console.say(f"\n{plural(total.total_tokens, 'token')} in {plural(total.calls, 'call')}{_cost(total)}")
    return 0


def _first_day(until: datetime | None) -> datetime:
    """Return the midnight from which on there are thirty days, the last of them that of *until*, or today."""
    end = (until or datetime.now(UTC)).astimezone(UTC)
    return end.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=_DAYS - 1)


def _with_every_day(totals: list[UsageTotal]) -> list[UsageTotal]:
    """Return the totals with those of the days between them that had no usage."""
    by_day = {date.fromisoformat(total.key): total for total in totals if total.key is not None}
    first, last = min(by_day), max(by_day)
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [by_day.get(day) or UsageTotal.of((day.isoformat(), 0, 0, 0, 0.0)) for day in days]


def _print_bars(console: Console, totals: Iterable[UsageTotal]) -> None:
    rows = [
        (one_line(total.key or "(none)"), total.total_tokens, f"{total.total_tokens:,}{_cost(total)}")
        for total in totals
    ]
    figures = max(cells(row[2]) for row in rows)
    free = 200 if console.width is None else console.width - figures - 5  # for label and bar
    label = min(_LABEL, max(10, free - 10), max(cells(row[0]) for row in rows))
    room = max(1, min(_BAR, free - label))
    most = max(row[1] for row in rows) or 1
    block = "█" if (console.stdout.encoding or "").lower().startswith("utf") else "#"
    for full_name, tokens, figure in rows:
        # Rounded up: what was used is seen, however little it was.
        name, bar = shorten(full_name, label), block * -(-tokens * room // most)
        console.line(f"{pad(name, label)}  {console.style(pad(bar, room), 'cyan')}  {pad(figure, figures, right=True)}")


def _cost(total: UsageTotal) -> str:
    return f", cost {total.cost:,.2f}" if total.cost else ""


# --- keys ---


def _add_keys(commands: Commands) -> None:
    parser = commands.add(
        "keys",
        _list_keys,
        summary="list the referral keys that let new users in, or make one",
        usage="[list | create] [options]",
        examples=("peewee-conv keys --project projects/aurora", "peewee-conv keys create --project projects/aurora"),
    )
    parser.set_defaults(limit=20, after=None)
    actions = Commands(parser, dest="action", title="actions")
    listing = actions.add(
        "list",
        _list_keys,
        summary="list referral keys, the newest first",
        usage="[--limit N] [--after CURSOR] [options]",
        details="Of a key its first four characters are shown: nothing else of it is stored.",
    )
    _add_page(listing)
    create = actions.add(
        "create",
        _create_key,
        summary="make a referral key for one new user and print it",
        usage="[--created-by ID] [options]",
        details="It cannot be shown again. The project is made if it does not exist.",
    )
    create.add_argument("--created-by", metavar="ID", help="the user who invites")


def _list_keys(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args) as project:
        page = project.accounts.list_keys(limit=args.limit, after=args.after)
    if console.as_json:
        console.json({"keys": [key.to_dict() for key in page], "next": page.next})
        return 0
    if not page:
        console.say("no referral keys")
        return 0
    columns = [Column("key"), Column("made"), Column("used"), Column("made by", may_go=True), Column("id", may_go=True)]
    rows = [
        (f"{key.prefix}...", _when(key.created_at), _when(key.used_at) or "no", key.created_by or "", key.id)
        for key in page
    ]
    console.table(columns, rows)
    _say_more(console, page.next)
    return 0


def _create_key(args: argparse.Namespace, console: Console) -> int:
    with projects.new_or_existing(args) as project:
        key = project.accounts.create_key(created_by=args.created_by)
    if console.as_json:
        console.json({"key": key})
        return 0
    console.line(key)
    console.note("it lets one new user in, and cannot be shown again")
    return 0

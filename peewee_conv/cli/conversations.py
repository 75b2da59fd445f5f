"""``list``, ``show``, ``search`` and ``context``: reading conversations."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable
from datetime import datetime

from peewee_conv.arguments import ROLES
from peewee_conv.project import Project
from peewee_conv.records import Conversation, Message, SearchHit
from peewee_conv.window import tokens_of

from . import projects
from .console import Column, Console
from .parser import Commands, Parser, moment, whole_number
from .text import harmless, one_line, plural, shorten, wrap

_PINS = ("system", "developer", "instructions")
_ROLE_STYLES = {"user": "cyan", "assistant": "green", "system": "magenta", "developer": "magenta", "tool": "yellow"}
_INDENT = "    "
#: What a search puts around the found words, for :func:`print_hits`.
FOUND_MARKS = ("\x02", "\x03")


def add_commands(commands: Commands) -> None:
    """Add the four commands."""
    _add_list(commands)
    _add_show(commands)
    _add_search(commands)
    _add_context(commands)


def _add_filters(parser: Parser) -> None:
    parser.add_argument("--user", metavar="ID", help="only conversations of this user")
    parser.add_argument("--assistant", metavar="ID", help="only conversations with this assistant")
    parser.add_argument("--project-name", metavar="NAME", help="only conversations filed under this name")


# --- list ---


def _add_list(commands: Commands) -> None:
    parser = commands.add(
        "list",
        _list,
        summary="list conversations, the newest activity first",
        usage="[--limit N] [--after CURSOR] [options]",
        details="Times are in UTC. In a narrow terminal titles are cut, and ids left out.",
        examples=("peewee-conv list --project projects/aurora", "peewee-conv list --limit 100 --json"),
    )
    parser.add_argument("--limit", metavar="N", type=whole_number, default=20, help="at most N, up to 1000 (20)")
    parser.add_argument("--after", metavar="CURSOR", help="go on after a page: the 'next' of its JSON answer")
    _add_filters(parser)


def _list(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args) as project:
        page = project.conversations.list(
            user_id=args.user,
            assistant_id=args.assistant,
            project_name=args.project_name,
            limit=args.limit,
            after=args.after,
        )
    if console.as_json:
        console.json({"conversations": [found.to_dict() for found in page], "next": page.next})
        return 0
    if page:
        print_conversations(console, page)
    else:
        console.say("no conversations")
    if page.next:
        console.say(f"\nmore follow: --limit N, or --after {_quoted(page.next)}")
    return 0


def print_conversations(console: Console, found: Iterable[Conversation], indent: str = "") -> None:
    """Print a table of conversations."""
    columns = [
        Column("No.", right=True),
        Column("title", may_shrink=True),
        Column("messages", right=True),
        Column("tokens", right=True, may_go=True),
        Column("last activity"),
        Column("id", may_go=True),
    ]
    rows = [
        (
            talk.number,
            talk.title or "(untitled)",
            f"{talk.message_count:,}",
            f"{talk.token_count:,}",
            when(talk.updated_at),
            talk.id,
        )
        for talk in found
    ]
    console.table(columns, rows, indent)


def when(moment: datetime) -> str:
    """Return a time to the minute, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M}"


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)


# --- show ---


def _add_show(commands: Commands) -> None:
    parser = commands.add(
        "show",
        _show,
        summary="show the messages of a conversation",
        usage="CONVERSATION [--first N | --last N] [options]",
        details="On a terminal, control characters in messages are spelled out.",
        examples=("peewee-conv show 17", "peewee-conv show 17 --last 10 --json"),
    )
    parser.add_argument("conversation", metavar="CONVERSATION", help="its id, or its number in the list")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--first", metavar="N", type=whole_number, help="only the first N messages")
    which.add_argument("--last", metavar="N", type=whole_number, help="only the last N messages")


def _show(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args) as project:
        talk = projects.conversation(project, args.conversation)
        messages = _messages(project, talk.id, args.first, args.last)
        if console.as_json:
            console.json({"conversation": talk.to_dict(), "messages": [message.to_dict() for message in messages]})
            return 0
        print_heading(console, talk)
        for message in messages:
            print_message(console, message)
    return 0


def _messages(project: Project, conversation_id: str, first: int | None, last: int | None) -> Iterable[Message]:
    if first is not None:
        return project.conversations.messages(conversation_id, limit=first)
    if last is not None:
        return project.conversations.messages(conversation_id, limit=last, before=2**32 - 1)
    return project.conversations.iterate(conversation_id)


def print_heading(console: Console, talk: Conversation) -> None:
    """Print the title of a conversation and what is known about it."""
    console.line(console.style(one_line(talk.title or "(untitled)"), "bold"))
    facts = [f"No. {talk.number}", talk.id, plural(talk.message_count, "message"), f"{when(talk.updated_at)} UTC"]
    facts += [f"{name} {value}" for name, value in talk.metadata.items() if isinstance(value, str)]
    console.line(console.style(one_line(" · ".join(facts)), "dim"))


def print_message(console: Console, message: Message, indent: str = "") -> None:
    """Print a message: a line that says whose it is, the content indented below."""
    number = f"{message.sequence:>3} " if message.sequence else "  * "
    role = console.style(message.role, "bold", _ROLE_STYLES[message.role])
    console.line(f"{indent}{console.style(number, 'dim')}{role}")
    room = console.width and max(20, console.width - len(indent + _INDENT) - 1)
    for line in wrap(console.content(message.content), room):
        console.line(f"{indent}{_INDENT}{line}" if line else "")


# --- search ---


def _add_search(commands: Commands) -> None:
    parser = commands.add(
        "search",
        _search,
        summary="find messages by their words, the best match first",
        usage="WORD... [--role ROLE] [--since TIME] [options]",
        details=(
            'All words must occur, whatever their case and accents; "a phrase" in quotes, OR, -exclude and'
            " prefix* work as in a search engine: put such a query between single quotes. The status is 1 where"
            " nothing is found."
        ),
        examples=(
            "peewee-conv search brake pads",
            "peewee-conv search '\"night train\" -Paris' --role user",
            "peewee-conv search 'batter*' --since 2026-03-01 --json",
        ),
    )
    parser.add_argument("words", metavar="WORD", nargs="+", help="what to look for")
    parser.add_argument("--conversation", metavar="ID", help="only in this conversation, by id or number")
    parser.add_argument("--role", choices=ROLES, metavar="ROLE", help="only messages of: " + ", ".join(ROLES))
    parser.add_argument("--since", metavar="TIME", type=moment, help="only from this time on, such as 2026-03-01")
    parser.add_argument("--until", metavar="TIME", type=moment, help="only before this time; UTC unless it says so")
    parser.add_argument("--limit", metavar="N", type=whole_number, default=20, help="at most N, up to 1000 (20)")
    _add_filters(parser)


def _search(args: argparse.Namespace, console: Console) -> int:
    query = " ".join(args.words)
    with projects.existing(args) as project:
        within = args.conversation and projects.conversation(project, args.conversation).id
        hits = project.conversations.search(
            query,
            conversation_id=within,
            user_id=args.user,
            assistant_id=args.assistant,
            project_name=args.project_name,
            role=args.role,
            since=args.since,
            until=args.until,
            limit=args.limit,
            marks=("[", "]") if console.as_json else FOUND_MARKS,
        )
    if console.as_json:
        console.json({"query": query, "hits": [hit.to_dict() for hit in hits]})
    elif hits:
        print_hits(console, hits)
        if len(hits) == args.limit:
            console.say(f"\nthese are the best {args.limit}: --limit N shows more")
    else:
        console.say("nothing found")
    return 0 if hits else 1


def print_hits(console: Console, hits: Iterable[SearchHit], indent: str = "") -> None:
    """Print what a search found; its marks must have been those of :data:`FOUND_MARKS`."""
    for hit in hits:
        message = hit.message
        facts = f"{message.conversation_id} #{message.sequence} {message.role}, {when(message.created_at)}"
        title = one_line(hit.title or "(untitled)")
        room = console.width and max(20, console.width - len(indent) - 1)
        console.line(indent + console.style(shorten(title, room) if room else title, "bold"))
        console.line(f"{indent}{_INDENT}{console.style(one_line(facts), 'dim')}")
        console.line(f"{indent}{_INDENT}{_highlight(console, hit.snippet)}")


def _highlight(console: Console, snippet: str) -> str:
    before, *found = " ".join(snippet.split()).split(FOUND_MARKS[0])
    shown = harmless(before)
    for part in found:
        word, _, rest = part.partition(FOUND_MARKS[1])
        marked = console.style(harmless(word), "bold", "yellow")
        shown += (marked if marked != word else f"[{word}]") + harmless(rest)
    return shown


# --- context ---


def _add_context(commands: Commands) -> None:
    parser = commands.add(
        "context",
        _context,
        summary="show what a model would see: the newest messages that fit, oldest first",
        usage="CONVERSATION [--max-messages N] [--max-tokens N] [--pin WHAT] [options]",
        details=(
            "Tokens are the stored counts; where there is none, one for each four characters. The status is 1 where"
            " nothing fits."
        ),
        examples=(
            "peewee-conv context 17 --max-tokens 4000",
            "peewee-conv context 17 --max-messages 10 --pin system --pin instructions --json",
        ),
    )
    parser.add_argument("conversation", metavar="CONVERSATION", help="its id, or its number in the list")
    parser.add_argument(
        "--max-messages", metavar="N", type=whole_number, default=20, help="at most N messages beside the pins (20)"
    )
    parser.add_argument("--max-tokens", metavar="N", type=whole_number, help="at most N tokens, pins included")
    parser.add_argument(
        "--pin",
        metavar="WHAT",
        action="append",
        choices=_PINS,
        default=[],
        help="keep whatever their age: system, developer, instructions; may be given more than once",
    )


def _context(args: argparse.Namespace, console: Console) -> int:
    with projects.existing(args) as project:
        talk = projects.conversation(project, args.conversation)
        window = project.conversations.context(
            talk.id, max_messages=args.max_messages, max_tokens=args.max_tokens, pin=args.pin
        )
    if console.as_json:
        console.json(
            {
                "conversation_id": talk.id,
                "token_count": sum(map(tokens_of, window)),
                "messages": [message.to_dict() for message in window],
            }
        )
        return 0 if window else 1
    for message in window:
        print_message(console, message)
    console.say(describe_window(window, talk))
    return 0 if window else 1


def describe_window(window: Collection[Message], talk: Conversation) -> str:
    """Return how much of a conversation its window has."""
    taken = sum(1 for message in window if message.sequence)
    return f"{taken:,} of {plural(talk.message_count, 'message')}, about {plural(sum(map(tokens_of, window)), 'token')}"

"""Questions about data files, written for ChatDF's services without their web server.

There the imports were::

    import aiosqlite
    from app.database import init_db
    from app.exceptions import ConflictError, RateLimitError
    from app.services.auth_service import google_callback, validate_referral_key, validate_session
    from app.services.chat_service import process_message
    from app.services.dataset_service import add_dataset, get_datasets
    from app.services.rate_limit_service import check_limit

They are the only lines that differ, but for two: ``create_key()`` makes a referral key, of which the file has a hash
only, and ``db.model`` says who answers. Run it with ``python examples/chatdf_app.py "How many rows?" "And now?"``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from peewee_conv.compat import chatdf as aiosqlite
from peewee_conv.compat.chatdf import (
    ConflictError,
    RateLimitError,
    add_dataset,
    check_limit,
    get_datasets,
    google_callback,
    init_db,
    process_message,
    validate_referral_key,
    validate_session,
)

USERINFO = {"sub": "104", "email": "ada@example.com", "name": "Ada", "picture": None}
SALES = "https://example.com/sales.parquet"


class WorkerPool:
    """Looks at data files. The real one fetches them in other processes."""

    async def validate_url(self, url):
        """Say whether there is such a file."""
        return {"valid": url.endswith(".parquet"), "error": "Not a valid parquet file"}

    async def get_schema(self, url):
        """Return what is in the file."""
        return {"columns": [{"name": "amount", "type": "Int64"}], "row_count": 1200}


@dataclass
class StreamResult:
    """What a model answers with."""

    input_tokens: int
    output_tokens: int
    assistant_message: str
    sql_query: str | None = None


async def stream_chat(messages, datasets, ws_send, cancel_event=None, pool=None, db=None, conversation_id=None):
    """Answer the last of *messages* word by word. The real one asks a provider."""
    columns = json.loads(datasets[0]["schema_json"])
    answer = f"{datasets[0]['name']} has {datasets[0]['row_count']} rows of {len(columns)} column."
    said = ""
    for word in answer.split(" "):
        if cancel_event.is_set():
            break
        said += word if not said else f" {word}"
        await ws_send("chat_token", {"type": "chat_token", "token": word})
    read = sum(len(message["content"]) for message in messages) // 4
    return StreamResult(read, len(said) // 4, said, f"SELECT count(*) FROM {datasets[0]['name']}")


async def ws_send(event_type, data):
    """Show what a browser would."""
    if event_type == "chat_complete":
        print(f"  ({data['token_count']} tokens, {data['sql_query']})")


async def sign_in(db):
    """Return the user of a new session; the first one needs a referral key."""
    entry = await google_callback(userinfo=USERINFO, referral_key=None, db=db)
    if entry["error"] == "referral_key_required":
        key = await db.accounts.create_key()
        entry = await google_callback(userinfo=USERINFO, referral_key=key, db=db)
        print("the key works once:", not await validate_referral_key(db, key))
    return await validate_session(db, entry["session_token"])


async def latest_conversation(db, user):
    """Return the id of the user's latest conversation, a new one if there is none."""
    cursor = await db.execute(
        "SELECT c.id, c.title, (SELECT COUNT(*) FROM datasets d WHERE d.conversation_id = c.id) AS dataset_count "
        "FROM conversations c WHERE c.user_id = ? ORDER BY c.updated_at DESC",
        (user["id"],),
    )
    found = await cursor.fetchone()
    if found is not None:
        print(f"{found['title']!r} goes on with {found['dataset_count']} dataset")
        return found["id"]
    conversation_id = str(uuid4())
    now = datetime.now(UTC).replace(tzinfo=None).isoformat()
    await db.execute(
        "INSERT INTO conversations (id, user_id, title, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
        (conversation_id, user["id"], "", now, now),
    )
    await db.commit()
    return conversation_id


async def load(db, conversation_id, pool):
    """Load the sales from several tasks at once, as an impatient user does who clicks twice."""
    twice = (add_dataset(db, conversation_id, SALES, pool) for _ in range(2))
    answers = await asyncio.gather(*twice, return_exceptions=True)
    page = add_dataset(db, conversation_id, "https://example.com/page.html", pool)
    answers += await asyncio.gather(page, return_exceptions=True)
    print(*sorted(f"load: {each if isinstance(each, ValueError) else each['name']}" for each in answers), sep="\n")


async def main(questions):
    """Ask *questions* about the sales, and show what the application keeps of it."""
    db = await aiosqlite.connect("chatdf.db")
    db.row_factory = aiosqlite.Row
    db.model = stream_chat
    await init_db(db)
    pool = WorkerPool()
    try:
        user = await sign_in(db)
        conversation_id = await latest_conversation(db, user)
        if not await get_datasets(db, conversation_id):
            await load(db, conversation_id, pool)
        for question in questions:
            print(f"> {question}")
            answer = await process_message(db, conversation_id, user["id"], question, ws_send, pool)
            print(f"< {answer['content']}")
        asks = (process_message(db, conversation_id, user["id"], "Both?", ws_send, pool) for _ in range(2))
        refused = [
            error for error in await asyncio.gather(*asks, return_exceptions=True) if isinstance(error, Exception)
        ]
        print("at once:", [str(error) for error in refused if isinstance(error, ConflictError | RateLimitError)])
        status = await check_limit(db, user["id"])
        print(f"{status.usage_tokens} of {status.limit_tokens} tokens used, warning: {status.warning}")
    finally:
        await db.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["How many rows are there?"]))

"""The database functions of ChatDF (source document 004), over the services of a project.

An application changes its import lines, ``app.database``, ``app.dependencies``, ``app.exceptions`` and the services to
this module, and ``import aiosqlite`` to ``from peewee_conv.compat import chatdf as aiosqlite``.

>>> import asyncio
>>> async def main():
...     async with connect(":memory:") as db:
...         await init_db(db)
...         key = await db.accounts.create_key()
...         userinfo = {"sub": "g-1", "email": "ada@example.com", "name": "Ada"}
...         entry = await google_callback(userinfo=userinfo, referral_key=key, db=db)
...         user = await validate_session(db, entry["session_token"])
...         print(user["name"], await validate_referral_key(db, key))
>>> asyncio.run(main())
Ada False
"""

from __future__ import annotations

from .chatdf_accounts import create_session as create_session
from .chatdf_accounts import delete_session as delete_session
from .chatdf_accounts import google_callback as google_callback
from .chatdf_accounts import mark_key_used as mark_key_used
from .chatdf_accounts import validate_referral_key as validate_referral_key
from .chatdf_accounts import validate_session as validate_session
from .chatdf_chat import StreamResult as StreamResult
from .chatdf_chat import process_message as process_message
from .chatdf_chat import stop_generation as stop_generation
from .chatdf_connection import Connection as Connection
from .chatdf_connection import Row as Row
from .chatdf_connection import Settings as Settings
from .chatdf_cursor import Cursor as Cursor
from .chatdf_database import DatabasePool as DatabasePool
from .chatdf_database import connect as connect
from .chatdf_database import init_db as init_db
from .chatdf_database import init_db_schema as init_db_schema
from .chatdf_datasets import add_dataset as add_dataset
from .chatdf_datasets import get_datasets as get_datasets
from .chatdf_datasets import refresh_schema as refresh_schema
from .chatdf_datasets import remove_dataset as remove_dataset
from .chatdf_datasets import validate_url as validate_url
from .chatdf_dependencies import get_conversation as get_conversation
from .chatdf_dependencies import get_current_user as get_current_user
from .chatdf_dependencies import get_db as get_db
from .chatdf_errors import ConflictError as ConflictError
from .chatdf_errors import DatabaseError as DatabaseError
from .chatdf_errors import Error as Error
from .chatdf_errors import ForbiddenError as ForbiddenError
from .chatdf_errors import IntegrityError as IntegrityError
from .chatdf_errors import NotFoundError as NotFoundError
from .chatdf_errors import OperationalError as OperationalError
from .chatdf_errors import RateLimitError as RateLimitError
from .chatdf_messages import get_messages as get_messages
from .chatdf_usage import RateLimitStatus as RateLimitStatus
from .chatdf_usage import check_limit as check_limit
from .chatdf_usage import record_usage as record_usage

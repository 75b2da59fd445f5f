"""The tables of ``assistant.db`` as plain Peewee models, for reading what the services do not offer.

Use them inside ``with project:``. Messages are written by the services alone: they keep the sequence, the counts and
the queue of writers. A foreign key gives the id of its parent and loads nothing by itself.

>>> import tempfile
>>> from peewee_conv import Project
>>> with tempfile.TemporaryDirectory() as folder, Project(folder) as project:
...     talk = project.conversations.create()
...     message = project.conversations.add_message(talk.id, "user", "Hello!")
...     Message.select().where(Message.role == "user").count()
...     project.dispose()
1
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import peewee
from peewee import AutoField, FloatField, IntegerField, TextField

from .fields import JsonField, TimeField, foreign_key
from .schemas import assistant as assistant

if TYPE_CHECKING:

    class Model(peewee.Model):
        """The base of these models: bound to the project of the current scope."""
else:
    Model = assistant.Model


class User(Model):
    """Somebody who signs in."""

    id = TextField(primary_key=True)
    google_id = TextField()
    email = TextField()
    name = TextField()
    avatar_url = TextField(null=True)
    created_at = TimeField()
    last_login_at = TimeField()

    class Meta:
        table_name = "users"


class Session(Model):
    """A signed-in user's session; only a hash of its token is kept."""

    id = TextField(primary_key=True)
    user = foreign_key(User, "user_id", on_delete="CASCADE")
    token_hash = TextField()
    created_at = TimeField()
    expires_at = TimeField()

    class Meta:
        table_name = "sessions"


class ReferralKey(Model):
    """An invitation for one new user; only a hash and a prefix are kept."""

    id = TextField(primary_key=True)
    key_hash = TextField()
    prefix = TextField()
    created_by = foreign_key(User, "created_by", null=True, on_delete="SET NULL")
    used_by = foreign_key(User, "used_by", null=True, on_delete="SET NULL")
    created_at = TimeField()
    used_at = TimeField(null=True)

    class Meta:
        table_name = "referral_keys"


class Assistant(Model):
    """A configured assistant."""

    id = TextField(primary_key=True)
    name = TextField()
    instructions = TextField()
    model = TextField()
    metadata = JsonField(default=dict)
    created_at = TimeField()
    updated_at = TimeField()

    class Meta:
        table_name = "assistants"


class Conversation(Model):
    """A conversation; ``number`` is its key, ``id`` its public name."""

    number = AutoField()
    id = TextField()
    assistant = foreign_key(Assistant, "assistant_id", null=True, on_delete="CASCADE")
    user = foreign_key(User, "user_id", null=True, on_delete="CASCADE")
    project_name = TextField(null=True)
    title = TextField(null=True)
    message_count = IntegerField(default=0)
    token_count = IntegerField(default=0)
    last_sequence = IntegerField(default=0)
    indexed_sequence = IntegerField(default=0)
    created_at = TimeField()
    updated_at = TimeField()
    metadata = JsonField(default=dict)

    class Meta:
        table_name = "conversations"


class Message(Model):
    """A message; its key is ``conversation << 32 | sequence``."""

    id = IntegerField(primary_key=True)
    conversation = foreign_key(Conversation, "conversation", on_delete="CASCADE")
    sequence = IntegerField()
    role = TextField()
    content = TextField()
    token_count = IntegerField(null=True)
    metadata = JsonField(null=True)
    external_id = TextField(null=True)
    created_at = TimeField()
    status = TextField(default="complete")
    streamed_at = TimeField(null=True)

    class Meta:
        table_name = "messages"


class Dataset(Model):
    """A data file that a conversation works with."""

    id = TextField(primary_key=True)
    conversation = foreign_key(Conversation, "conversation_id", field=Conversation.id, on_delete="CASCADE")
    url = TextField()
    name = TextField()
    row_count = IntegerField(default=0)
    column_count = IntegerField(default=0)
    schema = JsonField(default=list)
    status = TextField(default="loading")
    error_message = TextField(null=True)
    created_at = TimeField()
    loaded_at = TimeField(null=True)

    class Meta:
        table_name = "datasets"


class TokenUsage(Model):
    """Tokens that one answer cost."""

    id = TextField(primary_key=True)
    user = foreign_key(User, "user_id", on_delete="CASCADE")
    conversation = foreign_key(Conversation, "conversation_id", field=Conversation.id, null=True, on_delete="SET NULL")
    model_name = TextField()
    input_tokens = IntegerField()
    output_tokens = IntegerField()
    cost = FloatField(default=0.0)
    timestamp = TimeField()

    class Meta:
        table_name = "token_usage"

"""The shapes of HAIA's requests and answers. They need pydantic, which FastAPI brings along."""

from __future__ import annotations

from datetime import datetime

from .repository_errors import PydanticMissing

try:
    from pydantic import BaseModel, ConfigDict, Field
except ImportError as error:
    raise PydanticMissing() from error


class MessageCreate(BaseModel):
    """What a client sends."""

    role: str = Field(pattern=r"^(system|user|assistant)$")
    content: str = Field(min_length=1)


class MessageResponse(BaseModel):
    """A message, made of a dictionary or of the object that the repository returned."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    role: str
    content: str
    created_at: datetime


class ConversationResponse(BaseModel):
    """A conversation, made of a dictionary or of the object that the repository returned."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    created_at: datetime
    updated_at: datetime
    message_count: int = 0
    messages: list[MessageResponse] = []

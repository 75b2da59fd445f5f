"""The datasets of ChatDF's conversations.

A dataset's place is taken before the worker is awaited, so that no number of callers passes the limit or has one
address twice; it shows as ``loading`` until the worker has answered, and is given back if that fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from ..account_records import Dataset
from ..errors import AlreadyExists, ConversationNotFound, DatasetNotFound, InvalidArgument, LimitReached
from ..services.datasets import check_url
from .chatdf_connection import Connection
from .chatdf_errors import DatasetError, translated
from .naive_times import iso


class WorkerPool(Protocol):
    """What looks at the files: ChatDF's ``worker_pool``."""

    async def validate_url(self, url: str) -> Mapping[str, Any]:
        """Return a mapping whose ``valid`` is true, or one with an ``error``."""
        ...

    async def get_schema(self, url: str) -> Mapping[str, Any]:
        """Return ``columns`` and ``row_count``, or an ``error``."""
        ...


class _Found(NamedTuple):
    row_count: int
    columns: list[Any]


def validate_url(url: object) -> None:
    """Check that an address begins with ``http://`` or ``https://``, and has a host and no spaces.

    :raises ValueError: it does not; the text is "Invalid URL format".
    """
    try:
        check_url(url)
    except InvalidArgument as error:
        raise DatasetError("Invalid URL format") from error


async def add_dataset(
    db: Connection, conversation_id: str, url: str, worker_pool: WorkerPool, name: str | None = None
) -> dict[str, Any]:
    """Add a dataset to a conversation once the worker has read it; return it.

    :param name: what queries call it; ``table1``, ``table2``, ... otherwise, never one that is taken.
    :raises ValueError: the address is malformed or known to the conversation, the conversation is full, or the worker
        cannot read it: in this order. Nothing is stored then.
    :raises NotFoundError: the conversation does not exist.
    """
    validate_url(url)
    reserved = await _reserved(db, conversation_id, url, name)
    try:
        await db.commit()  # nobody waits for the worker with the file locked
        found = await _look(worker_pool, url)
        dataset = await db.datasets.mark_ready(reserved.id, row_count=found.row_count, schema=found.columns)
    except BaseException as error:
        await db.datasets.remove(reserved.id)
        await db.commit()
        if isinstance(error, DatasetNotFound):  # removed while the worker was at it
            raise DatasetError("Dataset not found") from error
        raise
    await db.commit()
    return _to_dict(dataset)


async def _reserved(db: Connection, conversation_id: str, url: str, name: str | None) -> Dataset:
    try:
        with translated():
            return await db.datasets.add(conversation_id, url, name=name)
    except AlreadyExists as error:
        is_url = error.noun == "dataset with url"
        raise DatasetError("This dataset is already loaded" if is_url else "This name is already taken") from error
    except LimitReached as error:
        raise DatasetError(f"Maximum {error.limit} datasets reached") from error


async def _look(worker_pool: WorkerPool, url: str) -> _Found:
    """Have the worker look at a file.

    :raises DatasetError: it cannot read it.
    """
    validity = await worker_pool.validate_url(url)
    if not validity.get("valid"):
        raise DatasetError(str(validity.get("error", "Could not access URL")))
    schema = await worker_pool.get_schema(url)
    if "error" in schema or "error_type" in schema:  # the latter after a timeout
        raise DatasetError(str(schema.get("error") or schema.get("message") or "Could not read the schema"))
    return _Found(schema.get("row_count", 0), schema.get("columns", []))


async def remove_dataset(db: Connection, dataset_id: str) -> None:
    """Remove a dataset, if there is one of that id."""
    await db.datasets.remove(dataset_id)
    await db.commit()


async def refresh_schema(db: Connection, dataset_id: str, worker_pool: WorkerPool) -> dict[str, Any]:
    """Have the worker read a dataset again; return it as it is now.

    :raises ValueError: there is none of that id ("Dataset not found"), or the worker cannot read it; the dataset is
        as it was then.
    """
    dataset = await db.datasets.find(dataset_id)
    if dataset is None:
        raise DatasetError("Dataset not found")
    await db.commit()
    found = await _look(worker_pool, dataset.url)
    try:
        async with db.project.atomic():
            await db.datasets.refresh(dataset_id)
            dataset = await db.datasets.mark_ready(dataset_id, row_count=found.row_count, schema=found.columns)
    except DatasetNotFound as error:  # removed while the worker was at it
        raise DatasetError("Dataset not found") from error
    return _to_dict(dataset)


async def get_datasets(db: Connection, conversation_id: str) -> list[dict[str, Any]]:
    """Return the datasets of a conversation, those that were read last at the end; none for an unknown one."""
    try:
        datasets = await db.datasets.list(conversation_id)
    except ConversationNotFound:
        return []
    return sorted(map(_to_dict, datasets), key=lambda dataset: str(dataset["loaded_at"]))


def _to_dict(dataset: Dataset) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "conversation_id": dataset.conversation_id,
        "url": dataset.url,
        "name": dataset.name,
        "row_count": dataset.row_count,
        "column_count": dataset.column_count,
        "schema_json": json.dumps(dataset.schema),
        "status": dataset.status,
        "error_message": dataset.error_message,
        "loaded_at": iso(dataset.loaded_at or dataset.created_at),
    }

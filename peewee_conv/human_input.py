"""The form that an agent asks a person to fill in: its checks.

>>> request("Which port?", [{"id": "port", "label": "Port", "type": "text"}])
'{"prompt":"Which port?","fields":[{"id":"port","label":"Port","type":"text","required":true}]}'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import arguments
from .errors import InvalidArgument

_TYPES = ("text", "textarea", "select", "boolean")
_OPTIONS = "the options to select from"
_KEYS = {"id", "label", "type", "options", "required", "placeholder"}


def request(prompt: str, fields: Sequence[Mapping[str, Any]]) -> str:
    """Return a request as JSON text.

    :raises InvalidArgument: the prompt is blank, or a field is not allowed; the text names its place.
    """
    arguments.text("prompt", prompt, 10_000, may_be_blank=False)
    given = arguments.items("fields", fields, "one field or more")
    checked = [_field(f"fields[{place}]", field) for place, field in enumerate(given)]
    if not checked:
        raise InvalidArgument("fields", fields, "one field or more")
    if len({field["id"] for field in checked}) != len(checked):
        raise InvalidArgument("fields", [field["id"] for field in checked], "ids of which none occurs twice")
    return arguments.json_object("fields", {"prompt": prompt, "fields": checked})


def fields_of(stored: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of a stored request; those of an imported one that are no fields are left out."""
    found = stored.get("fields")
    fields = found if isinstance(found, list) else []
    return [field for field in fields if isinstance(field, dict) and isinstance(field.get("id"), str)]


def _field(where: str, field: Any) -> dict[str, Any]:
    if not isinstance(field, Mapping) or not field.keys() <= _KEYS:
        raise InvalidArgument(where, field, "a mapping with any of " + ", ".join(sorted(_KEYS)))
    arguments.text(f"{where}.id", field.get("id"), 100, may_be_blank=False)
    arguments.text(f"{where}.label", field.get("label"), 1_000, may_be_blank=False)
    if not isinstance(field.get("type"), str) or field["type"] not in _TYPES:
        raise InvalidArgument(f"{where}.type", field.get("type"), "one of " + ", ".join(_TYPES))
    if field["type"] == "select" and not arguments.items(f"{where}.options", field.get("options"), _OPTIONS):
        raise InvalidArgument(f"{where}.options", field["options"], _OPTIONS)
    if not isinstance(field.get("required", True), bool):
        raise InvalidArgument(f"{where}.required", field["required"], "True or False")
    return {**field, "required": field.get("required", True)}

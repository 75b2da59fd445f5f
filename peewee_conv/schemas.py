"""The two bundled schemas. Their models are in :mod:`peewee_conv.models` and :mod:`peewee_conv.feature_models`."""

from __future__ import annotations

from .database.schema import Schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .versions import Legacy


def _legacy_assistant() -> Legacy:
    from .legacy import assistant  # only a file without a version of ours asks for it

    return assistant


def _legacy_features() -> Legacy:
    from .legacy import features

    return features


#: ``assistant.db``: assistants, conversations, messages, accounts, datasets, token usage.
assistant = Schema.bundled("assistant", legacy=_legacy_assistant)
#: ``features.db``: the work queue and the schedules of the agents.
features = Schema.bundled("features", legacy=_legacy_features)

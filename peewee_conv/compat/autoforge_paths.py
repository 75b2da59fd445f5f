"""Of AutoForge's ``autoforge_paths`` the names that are about the databases: the same names over this package.

>>> from pathlib import Path
>>> get_features_db_path(Path("projects/aurora")).name
'features.db'
"""

from __future__ import annotations

import os
from pathlib import Path

from .. import paths
from ..database.schema import Schema
from ..layout import move_layout
from ..project import Project
from ..schemas import assistant, features

_LOCKS = (".agent.lock", ".devserver.lock")


def get_features_db_path(project_dir: str | os.PathLike[str]) -> Path:
    """Return where ``features.db`` of a project is, or will be; makes nothing (D04)."""
    return _path(project_dir, features)


def get_assistant_db_path(project_dir: str | os.PathLike[str]) -> Path:
    """Return where ``assistant.db`` of a project is, or will be; makes nothing (D04)."""
    return _path(project_dir, assistant)


def _path(project_dir: str | os.PathLike[str], schema: Schema) -> Path:
    return Project(project_dir).database_path(schema)


def has_agent_running(project_dir: str | os.PathLike[str]) -> bool:
    """Say whether AutoForge left a lock of an agent or a server in the project."""
    root = Project(project_dir).path
    folders = [root / folder for folder in paths.LEGACY_FOLDERS]
    return any((folder / name).exists() for folder in folders for name in _LOCKS)


def migrate_project_layout(project_dir: str | os.PathLike[str]) -> list[str]:
    """Move databases from the old places into the data folder; return a line for each, none while an agent runs.

    :raises DatabaseFailure: a file cannot be moved; it is whole where it was.
    """
    return [] if has_agent_running(project_dir) else move_layout(Project(project_dir))

"""Upgrade scripts of ``assistant.db``, run in the order of their numbers."""

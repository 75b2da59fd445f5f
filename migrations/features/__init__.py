"""Upgrade scripts of ``features.db``, run in the order of their numbers."""

"""Tests under real servers and in a real browser: the environment ``servers`` runs them, on one interpreter."""

"""Files of the AutoForge releases, upgraded in place on their first open (D07).

Each module follows :class:`peewee_conv.versions.Legacy`: every row that the rules of the new tables can hold is kept,
NULLs get documented defaults, and the rest is written to ``<file>.rejected.jsonl``.
"""

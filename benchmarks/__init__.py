"""How fast peewee_conv is, next to hand-written sqlite3 and to what else people use.

Run from a checkout: ``python -m benchmarks [names] [--rounds N] [--quick]``. Contenders do the same work in small
slices, turn by turn, so that a busy machine disturbs all of them alike; what counts is the ratio to the reference. The
answers are checked.
"""

"""What stands in the way of the promises that may be missed, from profiles of the work: for the page of the docs."""

from __future__ import annotations

from typing import Final

_SHARING: Final = """\
**{workload}, {metric}.** What threads gain by sharing commits depends on what a commit costs beside all else. The last
reference of that table is given the messages of eight callers at once and waits for nobody: more than its rate is not
to be had by these statements. Each append writes the page of its conversation into the log, 8 kB, whoever commits; that
is half of its time in a shared commit. What stands between that reference and ours is the interpreter, which runs one
thread at a time: each message is handed to the thread that commits, and the answer back, with 3.8 switches of threads
for each message. A profile of the eight threads (`perf record`): 44 % in the kernel (pages of the log, syncs, waking
threads), 20 % in SQLite, 17 % in locks of the C library, 18 % in the interpreter. Where a sync takes long, sharing it
gains more: the rate was 2.07 of the reference's where a commit took 217 us, and 1.48 where it took 70."""

_CALLS: Final = """\
**{workload}, {metric}.** The bound on connections is not what costs: the reference with one connection a file keeps up
with the one that has 512. It is what each call of ours does beside its SQL: a scope with its connection, which begins
with a look whether the file is still in its place (4 us); a record for each row (2.4 us for 20); the check of the
arguments. In one thread that comes to 1.41 of the reference's time for a read (S2) and 1.12 for an append (S1), four to
one 0.75 of its rate. With eight threads runs differ, from 0.60 to 0.90: each row that is fetched gives the
interpreter's lock away for a moment, and while both cores are awake the lock may change hands each time. From 0.3 to 27
switches of threads were counted for one read of 20 rows."""

OBSTACLES: Final = {
    ("S4", "rate"): _SHARING,
    ("S4", "p99"): _SHARING,
    ("S5", "rate"): _SHARING,
    ("S5", "p99"): _SHARING,
    ("S7", "rate"): _CALLS,
}


def explained(missed: list[tuple[str, str]]) -> str:
    """Return what is known of the promises that a run has missed, given as workload and metric; once for each cause."""
    texts: dict[str, str] = {}
    for workload, metric in missed:
        text = OBSTACLES.get((workload, metric))
        if text is not None:
            texts.setdefault(text, text.format(workload=workload, metric=metric))
    return "\n\n".join(texts.values())

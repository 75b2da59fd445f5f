"""What stands in the way of the promises that may be missed, from profiles of the work: for the page of the docs."""

from __future__ import annotations

from typing import Final

_SHARING: Final = """\
**{workload}, {metric}.** What threads gain by sharing commits depends on what a commit costs beside all else. The last
reference of that table is given the messages of eight callers at once and waits for nobody: more than its rate is not
to be had by these statements. What stands between that reference and ours is the interpreter, which runs one thread
at a time. Where a lone `full` append takes 250 us, a trace of the eight threads shows a round of 0.95 ms: 0.35 ms for
the commit, which is the disk's; 0.2 ms for eight inserts; 0.05 ms to tell seven callers; 0.25 ms until all of them have
been woken, one after the other and 30 us each, and have brought their next message; the rest for emptying the log now
and then. The reference, with a commit for each message, needs 2.1 ms for the same. Where a sync takes longer, sharing
it gains more, and where it is short, less: the rate was 1.5 of the reference's where a commit took 70 us."""

_PROCESSES: Final = """\
**{workload}, {metric}.** Processes wait for SQLite's lock by asking for it again after 1, 2, 5 ms, up to 100, ours as
the reference. How often they find it free hangs on how the system shares two cores among eight threads, so runs differ
by a tenth. What ours does beside its SQL, 5 of 30 us, it does without the lock."""

_CALLS: Final = """\
**{workload}, {metric}.** The bound on connections is not what costs: the reference with one connection a file keeps up
with the one that has 512. It is what each call of ours does beside its SQL: a scope with its connection, which begins
with a look whether the file is still in its place (4 us); a record for each row (3 us for 20); the check of the
arguments. In one thread that comes to 0.7 of the reference's rate. With eight threads, runs differ: each row that is
fetched gives the interpreter's lock away for a moment, and while both cores are awake the lock may change hands each
time. Ours has the threads take turns, the reference has not."""

_SEARCH: Final = """\
**{workload}, {metric}.** A search of ours does beside its SQL what the reference leaves out: it takes the query
apart, so that no text of a user is syntax, looks whether the index is complete, sets and takes away the handler that
ends a search after five seconds, and makes records. That is 15 to 20 us, whatever is found; how much of the whole it
is hangs on the machine: the ratio was 1.14 on one and 1.26 on another, with the same code."""

OBSTACLES: Final = {
    ("S4", "rate"): _SHARING,
    ("S4", "p99"): _SHARING,
    ("S5", "rate"): _SHARING,
    ("S5", "p99"): _SHARING,
    ("S6", "rate"): _PROCESSES,
    ("S7", "rate"): _CALLS,
    ("S9", "p50"): _SEARCH,
}


def explained(missed: list[tuple[str, str]]) -> str:
    """Return what is known of the promises that a run has missed, given as workload and metric; once for each cause."""
    texts: dict[str, str] = {}
    for workload, metric in missed:
        text = OBSTACLES.get((workload, metric))
        if text is not None:
            texts.setdefault(text, text.format(workload=workload, metric=metric))
    return "\n\n".join(texts.values())

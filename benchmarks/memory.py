"""How much memory a process takes."""

from __future__ import annotations

import os
import sys

#: Source that a child process without this package runs: leaves the greatest size so far, in MB, in ``peak_mb``.
PEAK = """
def peak():
    try:
        with open("/proc/self/status") as status:  # ru_maxrss would tell the parent's, from before the exec
            lines = dict(line.split(":", 1) for line in status)
        return int(lines["VmHWM"].split()[0]) / 1024
    except OSError:
        import resource
        import sys
        unit = 1024 * 1024 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
peak_mb = peak()
"""


def resident_mb() -> float:
    """Return what this process takes now, in MB; where the system does not tell, its peak."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        import resource

        unit = 2**20 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

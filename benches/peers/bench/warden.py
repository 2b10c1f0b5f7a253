"""Outlives the program that measures for a moment: ends the process groups that it has started, should it be killed without
a chance to do so itself.

It is told them on its standard input, `+GROUP` when one begins and `-GROUP` when it has ended. The end of the input is the
end of the program, however that came.
"""

import contextlib
import os
import signal
import sys
import time

GRACE_S = 3.0


def main() -> None:
    """Listens until the end."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        (groups.add if line[0] == "+" else groups.discard)(group)
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)
                # Those that were stopped get to know of it only so.
                os.killpg(group, signal.SIGCONT)
        if groups and number == signal.SIGTERM:
            time.sleep(GRACE_S)


if __name__ == "__main__":
    main()

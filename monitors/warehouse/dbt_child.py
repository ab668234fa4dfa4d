"""dbt as a child that does not outlive the command that started it: `-m ... PARENT ARGUMENTS`.

A build whose Rampart was killed would go on beside the next one, without the lock against two
builds at once.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2), Linux: the signal that a process gets when its parent dies."""


def main() -> None:
    end_with(int(sys.argv.pop(1)))
    sys.argv[0] = "dbt"
    from dbt.cli.main import cli

    cli()


def end_with(parent: int) -> None:
    """Die when the parent dies, also when it has died before this line; elsewhere do nothing."""
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()

"""Become another program, which the kernel kills as soon as the process that started it is gone. Linux only; elsewhere just become it.

python guard.py STARTER_PID PROGRAM ARGUMENTS…
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The starter may have gone before the call above.
        if os.getppid() != int(sys.argv[1]):
            sys.exit("the process that wanted this is gone")
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    main()

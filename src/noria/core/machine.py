"""What this machine runs on, in words."""

from __future__ import annotations

import functools
import os
import platform
import sys


@functools.cache
def system_in_words() -> str:
    """Give system, release, machine and C library.

    On Linux without `platform.platform()`, which starts a program to ask for the processor, and takes as long for that
    as a step of a pipeline.

    Examples
    --------
    >>> system_in_words().startswith(platform.system()) or sys.platform == "darwin"
    True
    """
    if sys.platform != "linux":
        return platform.platform()
    found = os.uname()
    libc = "".join(platform.libc_ver())
    return f"{found.sysname}-{found.release}-{found.machine}{f'-with-{libc}' if libc else ''}"

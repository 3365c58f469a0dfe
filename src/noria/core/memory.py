"""What a process does with memory that it has no use for any more."""

from __future__ import annotations

from typing import Final

_MALLOPT: Final = {-3: 16 << 20, -1: 64 << 20}
"""glibc's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, in bytes."""


def keep_freed_memory() -> None:
    """Keep freed memory for the next use, up to some dozen MiB, where the C library is glibc.

    By itself it gives blocks of a hundred kilobytes back to the kernel as they are freed. To get them again costs an
    interrupt for each 4 KiB, in a virtual machine of some ten microseconds: more than to hash what is read into them.
    """
    import ctypes

    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for parameter, n_bytes in _MALLOPT.items():
            library.mallopt(parameter, n_bytes)

"""Who works at this machine, as versions and runs name their author."""

from __future__ import annotations

import getpass
import os


def local_author() -> str:
    """Give the login name; in a container whose user has none, the number of the user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # 3.11 to 3.12, and from 3.13 on
        return f"uid-{os.getuid()}"

"""Which revisions this code knows, read from the names and the text of the migrations' files.

Neither SQLAlchemy nor Alembic is imported for it: a command asks at each start whether there is work to do.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[2]
_FILE: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.py")
_QUOTED: Final = re.compile(r'"([a-z]+_\d{4})"')


@cache
def known_revisions() -> dict[str, list[str]]:
    """List revision ids by capability, oldest first, read from the names of the files."""
    found = {}
    for folder in sorted(PACKAGE.glob("*/migrations")):
        numbers = sorted(m.group(1) for f in folder.iterdir() if (m := _FILE.fullmatch(f.name)))
        if numbers:
            found[folder.parent.name] = [f"{folder.parent.name}_{number}" for number in numbers]
    return found


@cache
def heads() -> set[str]:
    """Give the revisions that a database at this code's schema stands at.

    Alembic keeps those that no other revision follows or depends on. They are read from the text of the files, since
    importing Alembic would cost every command more than the rest of opening a workspace.
    """
    followed = set()
    for capability in known_revisions():
        for path in (PACKAGE / capability / "migrations").glob("[0-9]*.py"):
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.startswith(("down_revision = ", "depends_on = ")):
                    followed.update(_QUOTED.findall(line))
    return {revision for revisions in known_revisions().values() for revision in revisions} - followed

"""SQLAlchemy, imported when something of it is first asked for.

To import it takes longer than most short commands take for all they do, and what they run on SQLite was compiled
beforehand (`prepared`). Modules that such a command imports have it from here, and ask for nothing of it while they
are imported::

    from noria.core.database.alchemy import sa
"""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

__all__ = ["sa"]

if TYPE_CHECKING:
    import sqlalchemy as sa
else:

    class _Later(ModuleType):
        def __getattr__(self, name: str) -> Any:
            import sqlalchemy

            value = getattr(sqlalchemy, name)
            setattr(self, name, value)  # found at once the next time
            return value

    sa = _Later("sqlalchemy")

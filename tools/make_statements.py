"""Write the statements that short commands run on SQLite, compiled: `src/noria/core/database/prepared_sqlite.json`.

python tools/make_statements.py           # after a statement was changed that a function builds
python tools/make_statements.py --check   # says whether there is need
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator

import msgspec
from sqlalchemy.dialects import sqlite

import noria
from noria.core.database.prepared import FILE, Prepared

_SKIPPED = ("noria.examples", "noria.cli.__main__")


def prepared() -> Iterator[tuple[str, Prepared]]:
    """Find all statements that functions build, with their names, in the order of these."""
    found: dict[str, Prepared] = {}
    for module in pkgutil.walk_packages(noria.__path__, "noria."):
        if "migrations" in module.name or module.name.startswith(_SKIPPED):
            continue
        for value in list(vars(importlib.import_module(module.name)).values()):
            if isinstance(value, Prepared) and value.name is not None:
                found[value.name] = value
    yield from sorted(found.items())


def text() -> str:
    """Give what belongs into the file: a line for each statement."""
    dialect = sqlite.dialect(paramstyle="qmark")
    lines = [
        f"  {msgspec.json.encode(name).decode()}: {msgspec.json.encode(statement.compiled(dialect)).decode()}"
        for name, statement in prepared()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    """Write the file, or compare with it."""
    made = text()
    if "--check" in sys.argv[1:]:
        if FILE.exists() and FILE.read_text(encoding="utf-8") == made:
            return 0
        print("Statements changed: python tools/make_statements.py")
        return 1
    FILE.write_text(made, encoding="utf-8")
    print(f"wrote {FILE.name}: {made.count(chr(10)) - 2} statements")
    return 0


if __name__ == "__main__":
    sys.exit(main())

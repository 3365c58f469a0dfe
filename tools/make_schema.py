"""Write what migrations make of an empty SQLite file: the text that new databases are made of.

python tools/make_schema.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from noria.core.database.engine import Database
from noria.core.database.migrate import upgrade
from noria.core.database.new_database import FILE, written


def main() -> int:
    """Write the file."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder, 'new.db')}")
        upgrade(database, "heads")
        FILE.write_text(written(database), encoding="utf-8")
        database.dispose()
    print(f"wrote {FILE.relative_to(Path(__file__).parents[1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The process in which a pipeline runs aside: `python -m noria.decisions.aside_child FOLDER [--free]`.

It reads its wish in that folder, which holds the workspace to run in, and leaves its answer and the rows that were made
there. It holds no credential of anybody.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from noria.decisions.walls import Walls

FREE = "--free"


def main(arguments: Sequence[str]) -> None:
    """Run the pipeline; unless it is free, inside walls that are shut before anything else is loaded."""
    folder, refused = Path(arguments[0]), []
    if FREE not in arguments:
        walls = Walls([folder, Path.cwd()])
        walls.shut()
        refused = walls.refused
    from noria.decisions.aside import answer_aside

    answer_aside(folder, refused)


if __name__ == "__main__":
    main(sys.argv[1:])

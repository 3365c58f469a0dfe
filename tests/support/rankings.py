"""The rankings study: its real data where they are, and tiny rankings of the same form."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from noria.examples import rankings
from support.project import UserProject, user_project

PROJECT = Path(rankings.__file__).parent / "project"
REAL = (
    Path(os.environ.get("TEST_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data") / "rankings"
)
ABSENT = f"there are no rankings at {REAL} (set TEST_DATA)"

_SHANGHAI = "world_rank,university_name,national_rank,total_score,alumni,award,hici,ns,pub,pcp,year"


@contextmanager
def study_project(root: Path) -> Iterator[UserProject]:
    """Give the project as the example copies it into a folder."""
    with user_project(root) as project:
        for file in PROJECT.glob("*.py"):
            project.write(file.name, file.read_text())
        yield project


def write_tiny(folder: Path) -> Path:
    """Write a Shanghai ranking of 60 single ranks in each of three years, and of ranges behind them."""
    rng = np.random.default_rng(3)
    lines = [_SHANGHAI]
    for year in (2013, 2014, 2015):
        for rank in range(1, 61):
            scores = ",".join(f"{120 - rank + noise:.1f}" for noise in rng.normal(0, 2, 6))
            lines.append(f"{rank},U{rank},{rank // 2 + 1},,{scores},{year}")
        lines += [f"61-90,V{place},40,,1,1,1,1,1,1,{year}" for place in range(5)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shanghaiData.csv").write_text("\n".join(lines) + "\n")
    return folder

"""A hundred trivial steps that do not wait for each other, as a whole command, beside the same in six other tools.

Environments of the peers: `make peers PEERS='dvc dagster metaflow zenml prefect airflow' ARGS=--collect-only`.
"""

from __future__ import annotations

from beside import Tool, measured, options, report
from doing import noria, peers


def main() -> None:
    """Measure in turns and print the table."""
    chosen = options(__doc__)
    report(measured([*_own(), *peers("fan")], chosen))


def _own() -> list[Tool]:
    return [
        noria("Noria", "fan"),
        noria("Noria on 2 processes", "fan", "--workers", "2"),
        noria("Noria, 1,000 steps", "fan", "-p", "width=1000"),
    ]


if __name__ == "__main__":
    main()

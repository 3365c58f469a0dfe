"""Ten trivial steps in a line, as a whole command, beside DVC, Dagster, Metaflow, ZenML, Prefect and Airflow.

Environments of the peers: `make peers PEERS='dvc dagster metaflow zenml prefect airflow' ARGS=--collect-only`.
"""

from __future__ import annotations

from beside import measured, options, report
from doing import noria, peers


def main() -> None:
    """Measure in turns and print the table."""
    chosen = options(__doc__)
    own = [noria("Noria", "chain"), noria("Noria in a new workspace", "chain", new=True)]
    report(measured([*own, *peers("chain")], chosen))


if __name__ == "__main__":
    main()

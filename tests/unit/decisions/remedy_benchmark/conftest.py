"""The modules of the remedy benchmark are found beside its program."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "benchmarks" / "remedies"))

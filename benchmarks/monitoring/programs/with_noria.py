"""Noria's whole report: KS, chi-squared, PSI, Jensen-Shannon, Wasserstein, missing values and bars for charts.

With `files` as third argument the tables stay in their files, and reading them is under the clock too.
"""

import sys

import polars as pl
import scipy.special  # noqa: F401 - ours imports it when it is first needed, which would be under the clock
from measured import measured

from noria.data.profiling.sources import FrameTable, ScannedTable
from noria.monitoring.reports.comparing import compare_tables

if "files" in sys.argv[3:]:
    tables = [ScannedTable(pl.scan_parquet(path)) for path in sys.argv[1:3]]
else:
    tables = [FrameTable(pl.read_parquet(path)) for path in sys.argv[1:3]]


def compare():
    return compare_tables(*tables).n_differ


measured(compare)

"""Evidently's preset for drift of data; with `ks` as third argument by KS and chi-squared instead of its default."""

import sys

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from measured import measured

reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])
numbers = [name for name in reference if name.startswith("n")]
labels = [name for name in reference if name.startswith("c")]
chosen = {"num_method": "ks", "cat_method": "chisquare"} if "ks" in sys.argv[3:] else {}


def compare():
    kinds = DataDefinition(numerical_columns=numbers, categorical_columns=labels)
    sides = [Dataset.from_pandas(frame, data_definition=kinds) for frame in (current, reference)]
    found = Report([DataDriftPreset(**chosen)]).run(*sides).dict()
    values = (metric["value"] for metric in found["metrics"])
    return next(value["count"] for value in values if isinstance(value, dict) and "count" in value)


measured(compare)

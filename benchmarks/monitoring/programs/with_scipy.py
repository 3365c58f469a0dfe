"""A bare loop over the columns: SciPy's KS test, and chi-squared of pandas' counts."""

import sys

import pandas as pd
from measured import measured
from scipy import stats

reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])


def compare():
    n_drifted = 0
    for name in reference:
        before, after = reference[name], current[name]
        if name.startswith("n"):
            p_value = stats.ks_2samp(before.to_numpy(), after.to_numpy()).pvalue
        else:
            counts = pd.concat([before.value_counts(), after.value_counts()], axis=1).fillna(0)
            p_value = stats.chi2_contingency(counts.to_numpy().T).pvalue
        n_drifted += p_value < 0.01 / reference.shape[1]
    return n_drifted


measured(compare)

"""NannyML's univariate drift by KS and chi-squared, all current rows being one chunk."""

import sys

import nannyml
import pandas as pd
from measured import measured

reference, current = (pd.read_parquet(path) for path in sys.argv[1:3])


def compare():
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(reference),
        chunk_size=len(current),
        continuous_methods=["kolmogorov_smirnov"],
        categorical_methods=["chi2"],
    )
    found = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
    return sum(bool(found[column].iloc[0]) for column in found if column[-1] == "alert")


measured(compare)

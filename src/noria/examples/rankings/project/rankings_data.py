"""Read the three rankings and make features of them, with the study's defects or without.

A defect is a switch, so that what it does to the figures can be measured:

- `fill_across_rows`: an empty cell takes the value of the next row of the file, which is another university and
  sometimes another year. Mended, it takes the median of its column over the training rows.
- `encode_all_rows`: countries are numbered over training and validation together. Mended, over the training rows
  alone; a country that is not among them is -1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

FILES = {"cwurData": "cwurData.csv", "timesData": "timesData.csv", "shanghaiData": "shanghaiData.csv"}

FEATURES = {
    "cwurData": (
        "alumni_employment",
        "publications",
        "citations",
        "quality_of_education",
        "country",
        "national_rank",
    ),
    "timesData": (
        "country",
        "teaching",
        "international",
        "research",
        "citations",
        "income",
        "male_ratio",
        "num_students",
        "student_staff_ratio",
        "international_students",
        "female_ratio",
    ),
    "shanghaiData": ("alumni", "award", "hici", "ns", "pub", "pcp", "national_rank"),
}
"""In the study's order, since an experiment takes the first few of them."""


class Parts(NamedTuple):
    """Features, shape (n, n_features), and labels, shape (n,): 1 for a rank better than the limit, else 0."""

    x: np.ndarray
    y: np.ndarray
    x_valid: np.ndarray
    y_valid: np.ndarray


def parts_of(
    folder: Path,
    data: str,
    *,
    max_rank: int,
    world_rank: int,
    max_features: int,
    fill_across_rows: bool,
    encode_all_rows: bool,
) -> Parts:
    """Read one ranking, and cut it into training rows and the validation rows of its last year.

    Parameters
    ----------
    folder
        Holds the file, at whatever depth.
    max_rank
        Rows of worse ranks are left out.
    world_rank
        The label is 1 for ranks strictly better than this.
    """
    table = read_ranking(folder, data, fill_across_rows=fill_across_rows)
    table = table.filter(pl.col("world_rank") <= max_rank)
    years = table["year"].cast(pl.Int64).to_numpy()
    valid = years == years[-1]
    label = (table["world_rank"] < world_rank).cast(pl.Int64).to_numpy()
    names = FEATURES[data][:max_features]
    columns = [_numbers(table, name, valid, encode_all_rows=encode_all_rows) for name in names]
    x = _without_gaps(np.column_stack(columns), valid)
    return Parts(x[~valid], label[~valid], x[valid], label[valid])


def read_ranking(folder: Path, data: str, *, fill_across_rows: bool) -> pl.DataFrame:
    """Read one ranking as the study did, without the rows whose rank is a range; all but `world_rank` is text."""
    table = pl.read_csv(_found(folder, FILES[data]).read_bytes(), infer_schema=False)
    if data == "timesData":
        # A cell that is only a dash is a missing value.
        table = table.with_columns(pl.all().replace("-", None))
    if fill_across_rows and data != "cwurData":
        table = table.fill_null(strategy="backward")
        if data == "shanghaiData":
            table = table.fill_null("0")
    if data == "timesData":
        table = _times_columns(table)
    rank = pl.col("world_rank").str.strip_prefix("=")
    return table.with_columns(rank).filter(~rank.str.contains("-")).with_columns(rank.cast(pl.Int64))


def _found(folder: Path, name: str) -> Path:
    places = sorted(folder.rglob(name))
    if not places:
        raise FileNotFoundError(f"The data set has no file `{name}`; it needs {', '.join(FILES.values())}")
    return places[0]


def _times_columns(table: pl.DataFrame) -> pl.DataFrame:
    """Split the ratio, read `27%` as 27, and `2,243` students as 2.243."""
    ratio = pl.col("female_male_ratio").str.split(":")
    return table.with_columns(
        ratio.list.get(0, null_on_oob=True).str.strip_chars().alias("female_ratio"),
        ratio.list.get(1, null_on_oob=True).str.strip_chars().alias("male_ratio"),
        pl.col("international_students").str.strip_suffix("%"),
        pl.col("num_students").str.replace(",", "."),
    )


def _numbers(table: pl.DataFrame, name: str, valid: np.ndarray, *, encode_all_rows: bool) -> np.ndarray:
    if name != "country":
        return table[name].cast(pl.Float64).to_numpy()
    countries: Sequence[Any] = table["country"].to_list()
    seen = {country for country, held in zip(countries, valid, strict=True) if encode_all_rows or not held}
    number = {country: index for index, country in enumerate(sorted(seen))}
    return np.array([number.get(country, -1) for country in countries], dtype=np.float64)


def _without_gaps(x: np.ndarray, valid: np.ndarray) -> np.ndarray:
    gaps = np.isnan(x)
    return np.where(gaps, np.nanmedian(x[~valid], axis=0), x) if gaps.any() else x

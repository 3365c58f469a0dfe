"""What a comparison of two tables found."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from noria.data.quality.entities import RuleResult
from noria.monitoring.delays.entities import DelayReport
from noria.monitoring.entities import QualityReport
from noria.monitoring.estimated.entities import EstimatedQuality
from noria.monitoring.tasks.entities import ForecastReport, UnsupervisedReport
from noria.serving.service_logs import LogWindow


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the known values of both sides in a range, or with a category.

    Attributes
    ----------
    label
        A category; for numbers the range, its end included.
    """

    label: str
    reference: float
    current: float


class ColumnReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one column of the current rows differs from the reference.

    Attributes
    ----------
    test
        `ks` for numbers, `chi_squared` for categories and for numbers of few whole values; `missing` when the share of
        missing values differs most.
    statistic
        Of that test.
    p_value, adjusted_p_value
        Before and after the Benjamini-Hochberg adjustment over the columns. Where values are missing two tests are
        made, and the smaller p-value is doubled.
    psi
        Population stability index in nats, missing values being one of its cells.
    jensen_shannon
        Distance over the same cells, 0 to 1.
    wasserstein
        In the column's own unit; None for categories and where there is an infinite value.
    wasserstein_std
        The same in standard deviations of the reference; None where that is 0.
    n_reference, n_current
        Known values, without the missing ones.
    missing_reference, missing_current
        Shares of the rows.
    mean_reference, mean_current
        Of the finite numbers.
    new_values
        At most five categories that the reference does not have, the commonest first.
    new_share
        Share of the current rows with any such category.
    differs
        The adjusted p-value is at most the level: there is a difference, of whatever size.
    drifted
        It differs, and its PSI is at least the least one: the difference is large as well.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    test: Literal["ks", "chi_squared", "missing"]
    statistic: float
    p_value: float
    adjusted_p_value: float = 1.0
    psi: float
    jensen_shannon: float
    wasserstein: float | None = None
    wasserstein_std: float | None = None
    n_reference: int
    n_current: int
    missing_reference: float
    missing_current: float
    mean_reference: float | None = None
    mean_current: float | None = None
    new_values: list[str] = []
    new_share: float = 0.0
    bars: list[Bar] = []
    differs: bool = False
    drifted: bool = False


class TogetherReport(msgspec.Struct, frozen=True, kw_only=True):
    """How well a classifier tells current rows from reference rows by all columns together.

    Attributes
    ----------
    auc, lower, upper
        Chance that a current row scores above a reference row, with its 95 % interval: 0.5 when nothing differs.
    n_reference, n_current
        Rows it was tried on: a sample of complete rows.
    """

    auc: float
    lower: float
    upper: float
    p_value: float
    n_reference: int
    n_current: int


class VectorReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a column of vectors differs from the reference, on a sample of rows.

    Attributes
    ----------
    n_reference, n_current
        Rows with a whole vector in the sample.
    missing_reference, missing_current
        Shares of the sample without.
    auc, lower, upper, auc_p_value
        How well a classifier tells current rows from reference rows, cross-validated, with its 95 % interval: 0.5 when
        nothing differs.
    energy, energy_p_value
        Energy distance in units of the vectors, with the p-value of a permutation test.
    p_value, adjusted_p_value
        The smaller of both, doubled; adjusted over the columns of vectors (Benjamini-Hochberg).
    """

    name: str
    n_dimensions: int
    n_reference: int
    n_current: int
    missing_reference: float
    missing_current: float
    auc: float
    lower: float
    upper: float
    auc_p_value: float
    energy: float
    energy_p_value: float
    p_value: float
    adjusted_p_value: float = 1.0
    differs: bool = False


class NotCompared(msgspec.Struct, frozen=True, kw_only=True):
    """A column that no test was made for, and why."""

    name: str
    why: str


class DriftComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two tables, column by column.

    Attributes
    ----------
    reference, current
        What was compared, as it was named.
    level
        Expected share of false discoveries among the columns that are said to differ.
    least_psi
        PSI from which a difference counts as drift, in nats.
    columns
        Drifted ones first, then by p-value.
    vanished, added
        Columns that only the reference has, and that only the current table has.
    not_compared
        Columns without a test: all missing on both sides, constant, times, nearly all values different.
    together
        The test of all columns at once, where it was asked for.
    vectors
        Columns of vectors, such as embeddings, each as a whole.
    """

    reference: str
    current: str
    n_reference: int
    n_current: int
    level: float
    least_psi: float
    columns: list[ColumnReport]
    vanished: list[str] = []
    added: list[str] = []
    not_compared: list[NotCompared] = []
    together: TogetherReport | None = None
    vectors: list[VectorReport] = []

    @property
    def n_differ(self) -> int:
        """Columns with a certain difference."""
        return sum(column.differs for column in self.columns)

    @property
    def n_drifted(self) -> int:
        """Columns with a certain and large difference."""
        return sum(column.drifted for column in self.columns)


class LogSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the model servers of an endpoint logged in some time.

    Attributes
    ----------
    n_windows, n_loud
        Windows of five minutes in which one answered, and those of them with an error.
    worst
        The window with most errors; None where there was none at all.
    newest
        The newest window with a line.
    """

    n_windows: int
    n_warnings: int
    n_errors: int
    n_loud: int
    worst: LogWindow | None = None
    newest: LogWindow | None = None


class EndpointReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint answered in some time, beside what its version was registered with.

    Attributes
    ----------
    version
        The rows that it answered are looked at.
    n_rows, n_errors
        Captured rows in that time, and those of them that failed.
    capped
        There were more rows than are read at once; these are the first.
    drift
        Inputs, and predictions as `output predictions`; None where there is nothing to compare.
    rules
        Inputs held to the rules of the data set that the version was trained on, broken ones first; empty where there
        are no rules.
    quality
        As of the newest label.
    estimated
        Quality of these rows as far as it can be told without labels, and what that supposes.
    forecast, unsupervised
        Where `noria models task` said that the version forecasts, or has no target.
    labels
        How long labels take and how complete they are, of all versions' answers in that time; None before the first.
    logs
        Of its model servers, whatever version answered; None where none reported in that time (of the last week).
    lacks
        What could not be looked at, and what would mend it.
    """

    endpoint: str
    model: str
    version: int
    n_rows: int
    n_errors: int
    first_at: datetime | None = None
    last_at: datetime | None = None
    capped: bool = False
    drift: DriftComparison | None = None
    rules: list[RuleResult] = []
    quality: QualityReport | None = None
    estimated: EstimatedQuality | None = None
    forecast: ForecastReport | None = None
    unsupervised: UnsupervisedReport | None = None
    logs: LogSummary | None = None
    labels: DelayReport | None = None
    lacks: list[str] = []

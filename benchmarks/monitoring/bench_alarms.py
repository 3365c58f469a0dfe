"""How often monitors raise false alarms on quiet real data, and how often they see a drop of five points in time.

Five real data sets, a model each: Elec2 (will the price rise?), bike sharing (rentals an hour), and electricity of
Victoria (demand), Spain (price) and a household in France (load). Each turn splits the rows of a set at random: 40 %
train the model, 10 % are held out, 50 % are answered and labelled in random order: real rows in which nothing changes.
They are watched in windows of 500 with the default settings of `[monitors]`. An alarm of any kind (quality, drift of
inputs) is a false one; after it the monitor starts anew. The same rows appear in several turns with other models.

Drops: in stretches of six windows the answers of the last three are spoilt so that the mean score falls by five (ten)
points: classes are answered wrongly, noise is added to numbers. Seen means an alarm about quality within these three
windows and not before.

Natural: the same models and settings on rows in the order of time, trained on the first 40 %. What changes there is no
false alarm; it is counted apart. `--detector` measures the settings without windows of labels.

Chosen and disjoint: the share of false alarms that the settings allow was chosen when these five sets had been seen. So
the same is measured on three others by which nothing was chosen (`alarm_sets.py`), with seeds of their own. There the
first turn, in which no row is answered twice, is printed by itself; rows recur in later turns, with other models.

    python benchmarks/monitoring/bench_alarms.py [--sets chosen disjoint] [--turns 12] [--quick] [--data DIR]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from alarm_sets import disjoint_sets
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from noria.core.stats.intervals import clopper_pearson
from noria.monitoring.detector import DropDetector
from noria.monitoring.drift import drift_report
from noria.monitoring.entities import MonitorSection, ScoredRow
from noria.monitoring.evaluate import drop_rule
from noria.monitoring.label_windows import LabelWindows, find_drop, take_in_windows
from noria.monitoring.quality import Baseline, start_detector

SEED = 20261123
DISJOINT_SEED = 20270101
WINDOW = 500
DROPS = (0.05, 0.1)
REFERENCE_ROWS = 5_000
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Data:
    """A data set in the order of time: inputs, and what a model is to say."""

    name: str
    x: Floats
    y: NDArray[Any]
    is_classes: bool


@dataclass(frozen=True, slots=True)
class Live:
    """What a model answered: inputs, scores, and what is needed to spoil the answers and to watch them."""

    data: Data
    x: Floats
    scores: Floats
    errors: Floats
    baseline: Baseline
    reference: dict[str, Floats]


@dataclass(slots=True)
class Watch:
    """A monitor as the looks of an endpoint keep it, without the endpoint."""

    live: Live
    settings: MonitorSection
    with_windows: bool = True
    detector: DropDetector = field(init=False)
    labels: LabelWindows = field(init=False)
    n_drifted: int = field(init=False)
    position: int = 0

    def __post_init__(self) -> None:
        """Begin."""
        self.start_anew()

    def start_anew(self) -> None:
        """Forget what was seen, as after an alert that was closed."""
        settings = self.settings
        self.detector = start_detector(
            self.live.baseline,
            margin=settings.quality_margin,
            labels_per_false_alarm=settings.labels_per_false_alarm,
        )
        self.labels, self.n_drifted = LabelWindows(), 0

    def look(self, x: Floats | None, scores: Floats) -> list[str]:
        """Take in a window of inputs and labels; gives what it would alert about."""
        rows = [ScoredRow(self.position + i, score) for i, score in enumerate(scores.tolist(), 1)]
        self.position += len(rows)
        kinds = []
        self.detector = self.detector.update(row.score for row in rows)
        self.labels, filled = take_in_windows(self.labels, rows, size=self.settings.quality_rows)
        if self.detector.alarmed or (self.with_windows and any(map(self._dropped, filled))):
            kinds.append("quality")
        if x is not None and self._drifted(x):
            kinds.append("drift")
        return kinds

    def _dropped(self, state: LabelWindows) -> bool:
        baseline = self.live.baseline
        found = find_drop(state, drop_rule(self.settings), reference=baseline.score, reference_n=baseline.n)
        return found is not None

    def _drifted(self, x: Floats) -> bool:
        columns = {name: x[:, i] for i, name in enumerate(self.live.reference)}
        found = drift_report(
            self.live.reference, columns, level=self.settings.drift_level, least_psi=self.settings.drift_psi
        )
        self.n_drifted = self.n_drifted + 1 if found is not None and found.drifted else 0
        return self.n_drifted >= self.settings.drift_windows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=12, help="splits of each set (default: 12)")
    parser.add_argument("--quick", action="store_true", help="one turn")
    parser.add_argument("--detector", action="store_true", help="the detector of single labels alone")
    parser.add_argument("--sets", nargs="+", choices=["chosen", "disjoint"], default=["chosen", "disjoint"])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the data sets")
    options = parser.parse_args()
    began = time.process_time()
    n_turns = 1 if options.quick else options.turns
    with threadpool_limits(limits=1):
        if "chosen" in options.sets:
            print("the five sets that the settings were chosen by")
            measure(list(read(options.data)), SEED, n_turns, with_windows=not options.detector)
        if "disjoint" in options.sets:
            others = [Data(*rows) for rows in disjoint_sets(options.data)]
            print("three sets by which nothing was chosen: one turn, each row answered at most once")
            measure(others, DISJOINT_SEED, 1, with_windows=not options.detector)
            if n_turns > 1:
                print(f"the same sets: {n_turns} turns")
                measure(others, DISJOINT_SEED, n_turns, with_windows=not options.detector, with_natural=False)
    print(f"{time.process_time() - began:.0f} s of CPU")


def measure(
    sets: list[Data], seed: int, n_turns: int, *, with_windows: bool, with_natural: bool = True
) -> None:
    """Watch every set so many times, quiet and with drops, and print what was raised."""
    settings = MonitorSection(window_rows=WINDOW)
    quiet, seen, early = Counter[str](), Counter[float](), Counter[float]()
    n_windows, n_stretches = Counter[str](), Counter[float]()
    for turn in range(n_turns):
        for index, data in enumerate(sets):
            rng = np.random.default_rng([seed, turn, index])
            live = answered(data, rng.permutation(len(data.y)), rng)
            n_windows[data.name] += watch_quiet(live, settings, quiet, with_windows=with_windows)
            for drop in DROPS:
                tally = watch_drops(live, settings, drop, rng, with_windows=with_windows)
                n_stretches[drop] += tally["stretches"]
                seen[drop] += tally["seen"]
                early[drop] += tally["before"]
    tell_quiet(quiet, n_windows)
    for drop in DROPS:
        share = clopper_pearson(seen[drop], n_stretches[drop])
        print(
            f"drops of {drop * 100:.0f} points seen within 3 windows of {WINDOW} labels: {seen[drop]} of "
            f"{n_stretches[drop]}, {share.estimate:.3f} (95% {share.lower:.3f} to {share.upper:.3f}); "
            f"alarm before the drop in {early[drop]}"
        )
    for index, data in enumerate(sets if with_natural else []):
        tell_natural(data, settings, np.random.default_rng([seed, 99, index]))


def tell_quiet(quiet: Counter[str], n_windows: Counter[str]) -> None:
    """Print false alarms among quiet windows, whole and by set and kind."""
    total, n = sum(n for key, n in quiet.items() if ":" not in key), sum(n_windows.values())
    share = clopper_pearson(total, n)
    print(
        f"false alarms: {total} in {n} quiet windows, {100 * share.estimate:.2f} per 100 "
        f"(95% {100 * share.lower:.2f} to {100 * share.upper:.2f})"
    )
    for name, held in n_windows.items():
        kinds = ", ".join(
            f"{key.partition(':')[2]} {n}" for key, n in quiet.items() if key.startswith(f"{name}:")
        )
        print(f"  {name:22} {quiet[name]} in {held} {f'({kinds})' if kinds else ''}")


def tell_natural(data: Data, settings: MonitorSection, rng: np.random.Generator) -> None:
    """Print what is raised on rows in the order of time."""
    n = len(data.y)
    known = rng.permutation(int(0.5 * n))
    order = np.concatenate([known, np.arange(int(0.5 * n), n)])
    found = Counter[str]()
    n_windows = watch_quiet(answered(data, order, rng), settings, found, with_windows=True)
    kinds = ", ".join(f"{key.partition(':')[2]} {k}" for key, k in found.items() if ":" in key)
    print(
        f"natural, in the order of time: {data.name:22} {found[data.name]} of {n_windows} windows ({kinds or 'none'})"
    )


def answered(data: Data, order: NDArray[np.int64], rng: np.random.Generator) -> Live:
    """Train on the first 40 % of an order of rows, hold out the next 10 %, and have the others answered."""
    n = len(order)
    train, held, rest = np.split(order, [int(0.4 * n), int(0.5 * n)])
    kind = HistGradientBoostingClassifier if data.is_classes else HistGradientBoostingRegressor
    model = kind(max_iter=60, random_state=0).fit(data.x[train], data.y[train])
    held_errors, errors = (_errors(data, model.predict(data.x[rows]), data.y[rows]) for rows in (held, rest))
    # As `noria.registry.golden.measure_holdout` does.
    bound = 1.0 if data.is_classes else 2.0 * float(np.quantile(held_errors, 0.99))
    baseline = Baseline(score=float(_scores(held_errors, bound).mean()), n=len(held), error_bound=bound)
    sample = rng.choice(train, min(REFERENCE_ROWS, len(train)), replace=False)
    return Live(
        data=data,
        x=data.x[rest],
        scores=_scores(errors, bound),
        errors=errors,
        baseline=baseline,
        reference={f"x{i}": data.x[sample, i] for i in range(data.x.shape[1])},
    )


def watch_quiet(live: Live, settings: MonitorSection, found: Counter[str], *, with_windows: bool) -> int:
    """Watch all windows; gives how many there are and counts those with an alarm."""
    watch = Watch(live, settings, with_windows)
    n_windows = len(live.scores) // WINDOW
    for index in range(n_windows):
        part = slice(index * WINDOW, (index + 1) * WINDOW)
        kinds = watch.look(live.x[part], live.scores[part])
        if kinds:
            found[live.data.name] += 1
            found.update(f"{live.data.name}:{kind}" for kind in kinds)
            watch.start_anew()
    return n_windows


def watch_drops(
    live: Live, settings: MonitorSection, drop: float, rng: np.random.Generator, *, with_windows: bool
) -> Counter[str]:
    """Watch stretches of three quiet windows and three with a drop."""
    found = Counter[str]()
    for first in range(0, len(live.scores) - 6 * WINDOW + 1, 6 * WINDOW):
        watch = Watch(live, settings, with_windows)
        scores = live.scores[first : first + 6 * WINDOW].copy()
        part = slice(first + 3 * WINDOW, first + 6 * WINDOW)
        scores[3 * WINDOW :] = spoilt(live, part, drop, rng)
        alarms = [
            bool(watch.look(None, scores[start : start + WINDOW])) for start in range(0, len(scores), WINDOW)
        ]
        found["stretches"] += 1
        found["before"] += any(alarms[:3])
        found["seen"] += not any(alarms[:3]) and any(alarms[3:])
    return found


def spoilt(live: Live, part: slice, drop: float, rng: np.random.Generator) -> Floats:
    """Give scores of rows whose answers were made worse, by `drop` on average over all rows of the set."""
    scores, mean = live.scores[part], float(live.scores.mean())
    if live.data.is_classes:
        wrong = rng.random(scores.size) < drop / mean
        return np.where(wrong, 0.0, scores)
    # Noise of a width that costs so much on average, found by halving.
    bound, noise = live.baseline.error_bound or 1.0, rng.normal(size=live.errors.size)
    low, high = 0.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        lost = mean - float(_scores(np.abs(live.errors + middle * bound * noise), bound).mean())
        low, high = (middle, high) if lost < drop else (low, middle)
    return _scores(np.abs(live.errors[part] + high * bound * noise[part]), bound)


def _errors(data: Data, predicted: NDArray[Any], actual: NDArray[Any]) -> Floats:
    if data.is_classes:
        return np.asarray(predicted != actual, dtype=np.float64)
    return np.asarray(predicted - actual, dtype=np.float64)


def _scores(errors: Floats, bound: float) -> Floats:
    return 1.0 - np.minimum(1.0, np.abs(errors) / bound)


def read(folder: Path) -> Iterator[Data]:
    """Read the data sets; times become hour, weekday and month."""
    elec = pl.read_csv(folder / "elec2" / "elec2.csv.gz")
    columns = ["day", "period", "nswprice", "nswdemand", "vicprice", "vicdemand", "transfer"]
    yield Data("elec2", _matrix(elec, columns), elec["class"].to_numpy(), is_classes=True)
    bikes = pl.read_csv(folder / "bike_sharing" / "hour.csv.gz")
    columns = [
        "season",
        "yr",
        "mnth",
        "hr",
        "holiday",
        "weekday",
        "workingday",
        "weathersit",
        "temp",
        "hum",
        "windspeed",
    ]
    yield Data("bike_sharing", _matrix(bikes, columns), _vector(bikes, "cnt"), is_classes=False)
    victoria = _with_time(pl.read_csv(folder / "electricity_victoria" / "vic_elec.csv.gz"), "time_local")
    columns = ["temperature_c", "holiday", "hour", "weekday", "month"]
    yield Data(
        "electricity_victoria", _matrix(victoria, columns), _vector(victoria, "demand_mwh"), is_classes=False
    )
    spain = _with_time(pl.read_csv(folder / "electricity_spain" / "generation_price_hourly.csv.gz"), "date")
    spain = spain.drop_nulls("price_actual")
    columns = [name for name in spain.columns if name.startswith("generation_")] + [
        "hour",
        "weekday",
        "month",
    ]
    yield Data("electricity_spain", _matrix(spain, columns), _vector(spain, "price_actual"), is_classes=False)
    france = _with_time(pl.read_csv(folder / "electricity_household_france" / "hourly.csv.gz"), "datetime")
    france = france.with_columns(before=pl.col("Global_active_power").shift(1)).drop_nulls(
        "Global_active_power"
    )
    load = _vector(france, "Global_active_power")
    is_high = (load > np.median(load)).astype(np.int64)
    columns = ["before", "hour", "weekday", "month"]
    yield Data("household_france", _matrix(france, columns), is_high, is_classes=True)


def _with_time(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    moment = pl.col(name).str.slice(0, 19).str.replace("T", " ").str.to_datetime("%Y-%m-%d %H:%M:%S")
    return frame.with_columns(
        hour=moment.dt.hour() + moment.dt.minute() / 60, weekday=moment.dt.weekday(), month=moment.dt.month()
    )


def _matrix(frame: pl.DataFrame, columns: list[str]) -> Floats:
    return frame.select(pl.col(columns).cast(pl.Float64)).to_numpy()


def _vector(frame: pl.DataFrame, column: str) -> Floats:
    return frame[column].cast(pl.Float64).to_numpy()


if __name__ == "__main__":
    main()

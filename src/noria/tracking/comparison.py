"""Put runs side by side; what they share is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from noria.tracking.entities import Run, RunComparison

V = TypeVar("V")


def differences(runs: Sequence[Run]) -> RunComparison:
    """Keep of each run only the params and metrics in which not all of them agree.

    NaN agrees with NaN here: two runs that both diverged do not differ.
    """
    params = differing_keys([run.params for run in runs])
    metrics = differing_keys([run.metrics for run in runs])
    return RunComparison(
        runs=[
            msgspec.structs.replace(
                run,
                params={key: run.params[key] for key in params if key in run.params},
                metrics={key: run.metrics[key] for key in metrics if key in run.metrics},
                not_finite=msgspec.UNSET,
            )
            for run in runs
        ],
        params=params,
        metrics=metrics,
    )


def differing_keys(maps: Sequence[Mapping[str, V]]) -> list[str]:
    """List, in order, the keys that some maps lack or give another value.

    Examples
    --------
    >>> differing_keys([{"lr": "0.1", "seed": "1"}, {"lr": "0.2", "seed": "1"}])
    ['lr']
    """
    keys = sorted({key for map_ in maps for key in map_})
    return [key for key in keys if not _all_agree([map_.get(key) for map_ in maps])]


def _all_agree(values: Sequence[object]) -> bool:
    first = values[0]
    return all(value == first or (value != value and first != first) for value in values)  # noqa: PLR0124 - NaN

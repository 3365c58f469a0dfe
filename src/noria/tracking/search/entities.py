"""What a search asks for, and what it gives."""

from __future__ import annotations

import msgspec

from noria.tracking.entities import Lifecycle
from noria.tracking.experiment_entities import Experiment

MAX_FOUND = 50_000
"""How many a page may hold, as MLflow's clients may ask for."""


class RunSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs to find in one project.

    Attributes
    ----------
    filter
        MLflow's grammar: `metrics.acc > 0.9 and params.lr = '0.1'`; empty for all.
    order_by
        `metrics.acc DESC`; what lacks the key comes last either way, and ties are newest first.
    experiments
        Names; all experiments of the project when None.
    after
        The token of the page before this one, of the same search.
    """

    filter: str = ""
    order_by: list[str] = []
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    experiments: list[str] | None = None
    limit: int = 100
    after: str | None = None


class NumberedRunSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Runs to find in experiments of any projects.

    Attributes
    ----------
    numbers
        Of experiments; those that the caller may not read, or that do not exist, hold nothing.
    """

    numbers: list[int]
    filter: str = ""
    order_by: list[str] = []
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    limit: int = 1000
    after: str | None = None


class ExperimentSearch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Experiments to find in all projects that the caller may read.

    Attributes
    ----------
    filter
        On `name`, `experiment_id` (the number), `creation_time`, `last_update_time` and `tags.…`.
    home
        Names of experiments of other projects than this one are compared and ordered as `project/name`; None: as
        they are.
    """

    filter: str = ""
    order_by: list[str] = []
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    home: str | None = None
    limit: int = 1000
    after: str | None = None


class ExperimentsFound(msgspec.Struct, frozen=True, kw_only=True):
    """Experiments in the order asked for; `next` continues after them, or is None at the end."""

    items: list[Experiment]
    next: str | None

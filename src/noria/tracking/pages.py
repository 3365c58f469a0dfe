"""The pages of tracking, and what they do."""

from __future__ import annotations

from noria.core.web.actions import AnyAction
from noria.core.web.pages import Page
from noria.tracking import (
    actions_experiments,
    actions_run_table,
    pages_compare,
    pages_completion,
    pages_experiments,
    pages_run,
    pages_run_table,
)

PAGES: tuple[Page, ...] = (
    *pages_experiments.PAGES,
    *pages_run_table.PAGES,
    *pages_completion.PAGES,
    *pages_compare.PAGES,
    *pages_run.PAGES,
)
ACTIONS: tuple[AnyAction, ...] = (
    *actions_experiments.ACTIONS,
    *actions_run_table.ACTIONS,
    *pages_run.ACTIONS,
)

"""What the server is made of: one table of dotted names, each imported when the server starts.

A name that cannot be imported is an error at start, never a part that is silently missing.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from noria.core.operations import Service

if TYPE_CHECKING:
    from noria.core.adapters import Adapter
    from noria.core.control.workflows import Chore, Reaction, Tick, Workflow
    from noria.core.web.actions import AnyAction
    from noria.core.web.pages import Page

SERVICES = (
    "noria.core.objects.service:Objects",
    "noria.access.projects:Projects",
    "noria.access.users:Users",
    "noria.access.tokens:Tokens",
    "noria.access.tokens:Sessions",
    "noria.access.audit:Audit",
    "noria.access.comments:Comments",
    "noria.data.service:Datasets",
    "noria.data.quality.service:DatasetReports",
    "noria.data.tags:DatasetTags",
    "noria.tracking.service:Experiments",
    "noria.tracking.service:Runs",
    "noria.tracking.by_id:RunsById",
    "noria.tracking.service:Lineage",
    "noria.tracking.artifacts:Artifacts",
    "noria.tracking.logged_models:LoggedModels",
    "noria.tracking.traces.service:Traces",
    "noria.tracking.traces.assessment_service:Assessments",
    "noria.tracking.evaluation_datasets:EvaluationDatasets",
    "noria.tracking.issues:Issues",
    "noria.tracking.reviewing.scorers:Scorers",
    "noria.tracking.reviewing.labels:LabelSchemas",
    "noria.tracking.reviewing.queues:ReviewQueues",
    "noria.pipelines.service:StepCache",
    "noria.pipelines.service:PipelineRuns",
    "noria.pipelines.jobs:Jobs",
    "noria.pipelines.schedules.service:Schedules",
    "noria.registry.service:Models",
    "noria.registry.versions:ModelVersions",
    "noria.registry.deleted:DeletedModels",
    "noria.registry.deleted:DeletedVersions",
    "noria.registry.consents:Consents",
    "noria.registry.search:Registry",
    "noria.registry.provenance:Provenances",
    "noria.registry.packages.service:Packages",
    "noria.registry.validation.service:Validations",
    "noria.catalog.service:Catalog",
    "noria.serving.service:Endpoints",
    "noria.serving.service:Rollouts",
    "noria.serving.service:Captures",
    "noria.serving.service:EndpointKeys",
    "noria.serving.service:Cascades",
    "noria.serving.service:InputRepairs",
    "noria.serving.service:ServiceLogs",
    "noria.serving.batch.service:Batches",
    "noria.monitoring.service:Monitors",
    "noria.monitoring.alerts.service:Alerts",
    "noria.monitoring.estimated.service:Estimates",
    "noria.decisions.service:Decisions",
    "noria.decisions.announcements:Announcements",
    "noria.delivery.service:Webhooks",
)
"""Classes whose operations are routes."""

CONTROL = (
    "noria.core.events.control",
    "noria.tracking.control",
    "noria.pipelines.control",
    "noria.pipelines.schedules.control",
    "noria.serving.control",
    "noria.monitoring.control",
    "noria.monitoring.estimated.control",
    "noria.decisions.control",
    "noria.delivery.control",
    "noria.interop.openlineage.control",
    "noria.server.upkeep",
)
"""Modules with any of `WORKFLOWS`, `TICKS`, `REACTIONS` and `CHORES`."""

PAGES = (
    "noria.server.pages:PAGES",
    "noria.server.pages_search:PAGES",
    "noria.server.pages_endpoints:PAGES",
    "noria.access.pages:PAGES",
    "noria.access.pages_audit:PAGES",
    "noria.tracking.pages:PAGES",
    "noria.data.pages:PAGES",
    "noria.data.pages_diff:PAGES",
    "noria.tracking.pages_dataset:PAGES",
    "noria.pipelines.pages:PAGES",
    "noria.pipelines.schedules.pages:PAGES",
    "noria.registry.pages:PAGES",
    "noria.registry.pages_list:PAGES",
    "noria.registry.validation.pages:PAGES",
    "noria.serving.pages:PAGES",
    "noria.serving.pages_version:PAGES",
    "noria.serving.batch.pages:PAGES",
    "noria.decisions.pages:PAGES",
    "noria.decisions.pages_incidents:PAGES",
)
"""Lists of `noria.core.web.pages.Page`."""

ACTIONS = (
    "noria.core.web.preferences:ACTIONS",
    "noria.access.actions:ACTIONS",
    "noria.access.page_comments:ACTIONS",
    "noria.tracking.pages:ACTIONS",
    "noria.pipelines.schedules.page_actions:ACTIONS",
    "noria.registry.page_actions_aliases:ACTIONS",
    "noria.registry.page_actions_lives:ACTIONS",
    "noria.registry.page_actions_words:ACTIONS",
    "noria.registry.validation.pages:ACTIONS",
    "noria.serving.page_actions:ACTIONS",
    "noria.serving.repairs.page_actions:ACTIONS",
    "noria.serving.pages_version:ACTIONS",
    "noria.monitoring.page_actions:ACTIONS",
    "noria.decisions.page_actions:ACTIONS",
)
"""Lists of `noria.core.web.actions.Action`."""

ADAPTERS: tuple[str, ...] = (
    "noria.interop.mlflow.adapter:ADAPTER",
    "noria.tracking.documents:ADAPTER",
    "noria.pipelines.schedules.hooks:ADAPTER",
)
"""Foreign protocols: values of `noria.core.adapters.Adapter`."""


@dataclass(slots=True, kw_only=True)
class Control:
    """All that the control loop runs."""

    workflows: list[Workflow] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    chores: list[Chore] = field(default_factory=list)


def load_services(names: Iterable[str] = SERVICES) -> list[type[Service]]:
    """Import the service classes."""
    return [_load(name) for name in names]


def load_pages(names: Iterable[str] = PAGES) -> list[Page]:
    """Import the pages."""
    return [page for name in names for page in _load(name)]


def load_actions(names: Iterable[str] = ACTIONS) -> list[AnyAction]:
    """Import the actions."""
    return [action for name in names for action in _load(name)]


def load_adapters(names: Iterable[str] = ADAPTERS) -> list[Adapter]:
    """Import the adapters."""
    return [_load(name) for name in names]


def load_control(names: Iterable[str] = CONTROL) -> Control:
    """Import what the control loop runs."""
    found = Control()
    for name in names:
        module = importlib.import_module(name)
        found.workflows += getattr(module, "WORKFLOWS", ())
        found.ticks += getattr(module, "TICKS", ())
        found.reactions += getattr(module, "REACTIONS", ())
        found.chores += getattr(module, "CHORES", ())
    return found


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)

"""Hold `[monitors.segments]` to the endpoints and references that there are."""

from __future__ import annotations

import msgspec

from noria.core.errors import Invalid, NotFound, near
from noria.core.workspace import Workspace
from noria.monitoring.entities import MonitorSection
from noria.monitoring.reference import load_reference
from noria.monitoring.windows.layout import lay_out, unknown_segment
from noria.registry.rules import NotServable
from noria.serving.endpoints import Endpoints
from noria.serving.entities import Endpoint


class EndpointSegments(msgspec.Struct, frozen=True, kw_only=True):
    """The segments that an endpoint's rows are parted into, and what they lack."""

    endpoint: str
    segments: list[str]
    lacks: list[str] = []


class SegmentCheck(msgspec.Struct, frozen=True, kw_only=True):
    """By endpoint."""

    items: list[EndpointSegments]


def check_segments(workspace: Workspace, settings: MonitorSection) -> SegmentCheck:
    """Say which segments the settings make of each endpoint that they name.

    Raises
    ------
    Invalid
        If an endpoint or a column is not there; the message names it, and the near one.
    """
    known = {
        each.name: each for each in workspace.service(Endpoints).list(workspace.project, limit=1000).items
    }
    found = []
    for name, columns in settings.segments.items():
        if name not in known:
            close = near(name, known)
            raise Invalid(
                f"`[monitors.segments]` names the endpoint `{name}`, which `{workspace.project}` does not have",
                hint=f"Did you mean `{close}`?" if close else "See `noria endpoints list`",
            )
        found.append(_checked(workspace, known[name], columns, settings))
    return SegmentCheck(items=found)


def _checked(
    workspace: Workspace, endpoint: Endpoint, columns: list[str], settings: MonitorSection
) -> EndpointSegments:
    try:
        reference = load_reference(workspace, workspace.project, endpoint.model, endpoint.version)
    except (NotFound, NotServable) as error:
        raise Invalid(
            f"The rows of `{endpoint.name}` cannot be parted: {error.message}", hint=error.hint
        ) from error
    layout = lay_out(
        reference, endpoint.model, segment_columns=columns, segment_values=settings.segment_values
    )
    there = {cut.column for cut in layout.segments}
    for column in columns:
        if column not in there:
            message, _, mend = unknown_segment(
                column, list(reference.columns or {}), reference.version.ref
            ).rpartition(": ")
            raise Invalid(message, hint=mend[:1].upper() + mend[1:])
    names = [name for cut in layout.segments for name in cut.names]
    return EndpointSegments(endpoint=endpoint.name, segments=names, lacks=list(layout.lacks))

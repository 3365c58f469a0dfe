"""The page of a version of a data set, with the runs that made it and read it."""

from __future__ import annotations

import dataclasses
from typing import Final

from noria.access.page_comments import discussion
from noria.core.web.discussions import EARLIER
from noria.core.web.pages import Page, Visit
from noria.core.web.urls import DATASET_VERSION_PATH
from noria.data.pages_version import DatasetVersionContext, RunLink, Uses, find_version, version_page
from noria.data.permissions import READ_DATA
from noria.tracking.lineage import MAX_NODES, RUN_PREFIX, Lineage
from noria.tracking.lineage_entities import LineageGraph
from noria.tracking.permissions import READ_RUNS

SHOWN_RUNS: Final = 30


def dataset_version_page(visit: Visit) -> DatasetVersionContext:
    """Show a version of a data set."""
    version = find_version(visit)
    may_see_runs = visit.context.principal.may(READ_RUNS, version.project)
    shown = version_page(visit, version, _uses(visit, version.project, version.ref) if may_see_runs else None)
    said = discussion(visit, version.project, f"dataset:{version.ref}", version.id)
    return dataclasses.replace(shown, comments=said)


def _uses(visit: Visit, project: str, ref: str) -> Uses:
    lineage, named = visit.context.service(Lineage), f"dataset:{ref}"
    read = lineage.downstream(project, named, depth=1)
    readers = _runs(visit, project, read)
    return Uses(
        makers=_runs(visit, project, lineage.upstream(project, named, depth=1))[:SHOWN_RUNS],
        readers=readers[-SHOWN_RUNS:][::-1],
        n_readers=len(readers),
        is_capped=read.truncated or len(read.nodes) >= MAX_NODES,
    )


def _runs(visit: Visit, project: str, graph: LineageGraph) -> tuple[RunLink, ...]:
    found = [node for node in graph.nodes if node.ref.startswith(RUN_PREFIX)]
    return tuple(
        RunLink(name=node.label, url=visit.urls.run(project, node.ref.removeprefix(RUN_PREFIX)))
        for node in found
    )


PAGES = (
    Page(
        path=DATASET_VERSION_PATH,
        needs=READ_DATA,
        template="noria.data/version.html",
        build=dataset_version_page,
        query=("from", EARLIER),
    ),
)

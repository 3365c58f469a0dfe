"""The page of a version: what it takes and gives, what it was made from, how it did, and where it stands.

The form that deploys it is of who serves, above this capability: `noria.serving.pages_version` completes the page.
"""

from __future__ import annotations

from typing import Final

from noria.access.page_comments import discussion
from noria.core.errors import NoriaError
from noria.core.objects.listing import list_files
from noria.core.web.formats import clipped
from noria.core.web.graphs import GraphDrawing, Node, draw_graph
from noria.core.web.pages import Crumb, Visit
from noria.core.web.references import kind_words, reference_url
from noria.core.web.revisions import text_revision
from noria.core.web.trees import Entry, file_tree
from noria.registry.entities import Model, ModelVersion, Signature, Stage
from noria.registry.message_sentences import retelling
from noria.registry.page_reads import ModelPages
from noria.registry.page_subjects import version_number
from noria.registry.pages import STAGE_CHOICES, dataset_url
from noria.registry.pages_list import STAGE_WORDS, models_crumb, serving_rows
from noria.registry.pages_packages import package_rows
from noria.registry.permissions import PROMOTE_MODELS, REGISTER_MODELS
from noria.registry.provenance import Provenances
from noria.registry.service import Models
from noria.registry.validation.pages import standing
from noria.registry.version_views import (
    AboutView,
    ConsentRow,
    HoldoutView,
    OriginView,
    PromotionRow,
    SignatureView,
    SourceRow,
    TensorRow,
    VersionContext,
)
from noria.tracking.entities import Run
from noria.tracking.lineage_entities import LineageGraph, LineageNode
from noria.tracking.permissions import READ_RUNS
from noria.tracking.service import Runs

MAX_COLUMNS: Final = 200
"""Inputs that are listed; a picture or a wide table has thousands."""

MAX_NODES: Final = 24
"""Things in the drawing of the lineage, the nearest."""


_CHAMPION: Final = "champion"
_VALUE: Final = 400


def version_page(visit: Visit) -> VersionContext:
    """Show a version."""
    project = visit.parameters["project"]
    models = visit.context.service(Models)
    model = models.get(project, visit.parameters["model"])
    version = models.version(project, model.name, version_number(visit))
    endpoints = visit.context.service(ModelPages).serving(project, [version]).get(version.version, ())
    caller = visit.context.principal
    return VersionContext(
        trail=(
            models_crumb(visit, project),
            Crumb(text=model.name, url=visit.urls.model(project, model.name)),
            Crumb(text=f"v{version.version}"),
        ),
        comments=discussion(visit, project, f"model:{version.ref}", version.id),
        now=visit.context.clock.now(),
        model=model.name,
        version=version.version,
        ref=version.ref,
        latest=model.latest,
        stage=STAGE_WORDS[version.stage],
        stage_key=version.stage.value,
        stages=tuple((each.value, STAGE_CHOICES[each]) for each in Stage),
        about=_about(version),
        description=version.description or "",
        description_revision=text_revision(version.description or ""),
        tags=tuple(version.tags.items()),
        signature=_signature(version.signature) if version.signature else None,
        classes=tuple(str(each) for each in version.classes or ())[:MAX_COLUMNS],
        holdout=_holdout(version),
        metrics=tuple(sorted(version.metrics.items()))[:MAX_COLUMNS],
        origin=_origin(visit, version),
        consent=_consent(version),
        promotions=_promotions(model, version.version),
        serving=serving_rows(visit, project, [(name, version.version) for name in endpoints]),
        files=_files(visit, version),
        packages=package_rows(visit, version),
        validation=standing(visit, version),
        may_promote=caller.may(PROMOTE_MODELS, project),
        may_write=caller.may(REGISTER_MODELS, project),
    )


def _about(version: ModelVersion) -> AboutView:
    return AboutView(
        id=version.id,
        digest=version.digest or "",
        task=version.task.value if version.task else "",
        format=version.format or "",
        flavor=version.flavor or "",
        author=version.author,
        created_at=version.created_at,
        message=retelling.find(version.message),
        place=version.source or "",
    )


def _holdout(version: ModelVersion) -> HoldoutView | None:
    found = version.holdout
    return HoldoutView(metric=found.metric, value=found.value, n=found.n) if found else None


def _origin(visit: Visit, version: ModelVersion) -> OriginView:
    lineage, is_cut = _lineage(visit, version)
    return OriginView(
        source=_source(visit, version),
        dataset=version.origin.dataset or "",
        dataset_url=dataset_url(visit, version.project, version.origin.dataset),
        lineage=lineage,
        is_cut=is_cut,
    )


def _signature(signature: Signature) -> SignatureView:
    inputs, outputs = (
        tuple(
            TensorRow(
                name=each.name,
                datatype=each.datatype,
                shape=" × ".join(str(size) if size >= 0 else "n" for size in each.shape),
                nullable=each.nullable,
            )
            for each in tensors[:MAX_COLUMNS]
        )
        for tensors in (signature.inputs, signature.outputs)
    )
    return SignatureView(inputs=inputs, outputs=outputs, n_inputs=len(signature.inputs))


def _source(visit: Visit, version: ModelVersion) -> SourceRow | None:
    origin = version.origin
    if origin.run_id is None and origin.pipeline is None:
        return None
    run = _run(visit, version.project, origin.run_id) if origin.run_id else None
    return SourceRow(
        run_id=origin.run_id or "",
        url=visit.urls.run(version.project, origin.run_id) if origin.run_id else "",
        name=run.name if run else "",
        pipeline=origin.pipeline or "",
        params=tuple(
            (name, clipped(value, _VALUE) if isinstance(value, str) else value)
            for name, value in origin.params.items()
        ),
    )


def _run(visit: Visit, project: str, run_id: str) -> Run | None:
    if not visit.context.principal.may(READ_RUNS, project):
        return None
    try:
        return visit.context.service(Runs).get(project, run_id)
    except NoriaError:  # it may be gone, or never have been here
        return None


def _consent(version: ModelVersion) -> ConsentRow | None:
    if not version.pickled:
        return None
    given = version.consent
    return ConsentRow(given_by=given.given_by if given else None, given_at=given.given_at if given else None)


def _promotions(model: Model, version: int) -> tuple[PromotionRow, ...]:
    aliases = dict.fromkeys((_CHAMPION, *model.aliases))
    return tuple(
        PromotionRow(
            alias=alias, present=model.aliases.get(alias), is_here=model.aliases.get(alias) == version
        )
        for alias in aliases
    )


def _files(visit: Visit, version: ModelVersion) -> tuple[Entry, ...] | None:
    found = list_files(visit.context.objects, version.digest) if version.digest else None
    return None if found is None else file_tree(found, lambda _: None)


def _lineage(visit: Visit, version: ModelVersion) -> tuple[GraphDrawing, bool]:
    """Draw what a version came from, and the endpoints that serve it."""
    project, here = version.project, f"model:{version.ref}"
    found = _walked(visit, version)
    near = sorted(found.nodes, key=lambda node: node.distance)[:MAX_NODES]
    nodes = [
        Node(
            id=node.ref,
            name=_shown(node.ref, node.label),
            kind=kind_words(node.ref),
            url=reference_url(visit.urls, project, node.ref),
            is_current=node.ref == here,
        )
        for node in near
    ]
    edges = [(edge.source, edge.target) for edge in found.edges]
    return draw_graph(nodes, edges), found.truncated or len(near) < len(found.nodes)


def _walked(visit: Visit, version: ModelVersion) -> LineageGraph:
    """Give what a version came from, with the endpoints that serve it; the version alone to who may not read runs."""
    here = f"model:{version.ref}"
    if not visit.context.principal.may(READ_RUNS, version.project):
        return LineageGraph(root=here, nodes=[LineageNode(ref=here, label=here, distance=0)], edges=[])
    up, down = visit.context.service(Provenances).graphs(version.project, here, depth_down=1)
    served = [edge for edge in down.edges if edge.kind == "served"]
    endpoints = {edge.target for edge in served}
    nodes = [*up.nodes, *(node for node in down.nodes if node.ref in endpoints)]
    return LineageGraph(root=here, nodes=nodes, edges=[*up.edges, *served], truncated=up.truncated)


def _shown(ref: str, label: str) -> str:
    """Give the name of a run, or what a reference names."""
    kind, _, name = ref.partition(":")
    if kind == "run":
        return label if label != ref else name[-8:]
    return name or ref

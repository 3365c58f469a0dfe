"""The page of a version: what it takes and gives, what it was made from, how it did, and where it stands.

The form that deploys it is of who serves, above this capability: `noria.serving.pages_version` completes the page.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noria.access.page_comments import discussion
from noria.core.errors import NoriaError
from noria.core.objects.listing import list_files
from noria.core.web.formats import clipped
from noria.core.web.graphs import GraphDrawing, Node, draw_graph
from noria.core.web.pages import Crumb, PageContext, Visit
from noria.core.web.references import kind_words, reference_url
from noria.core.web.revisions import text_revision
from noria.core.web.trees import Entry, file_tree
from noria.registry.entities import Model, ModelVersion, Signature, Stage
from noria.registry.page_reads import ModelPages
from noria.registry.page_subjects import version_number
from noria.registry.pages import STAGE_CHOICES, dataset_url
from noria.registry.pages_list import STAGE_WORDS, ServingRow, models_crumb, serving_rows
from noria.registry.pages_packages import PackageRow, package_rows
from noria.registry.permissions import PROMOTE_MODELS, REGISTER_MODELS
from noria.registry.provenance import Provenances
from noria.registry.service import Models
from noria.registry.validation.pages import Standing, standing
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRow:
    """An input or output.

    Attributes
    ----------
    shape
        As text, -1 for the rows.
    nullable
        Whether missing values are accepted.
    """

    name: str
    datatype: str
    shape: str
    nullable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureView:
    """What a model takes and gives.

    Attributes
    ----------
    inputs, outputs
        The first of them.
    n_inputs
        Of all.
    """

    inputs: tuple[TensorRow, ...]
    outputs: tuple[TensorRow, ...]
    n_inputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """The run that made a version.

    Attributes
    ----------
    name
        Of the run; empty when the run is gone or not to be seen.
    pipeline
        `module:name`; empty for none.
    params
        The pipeline's parameters.
    """

    run_id: str
    url: str
    name: str
    pipeline: str
    params: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRow:
    """Whether files of a version whose loading runs code may be loaded.

    Attributes
    ----------
    given_by, given_at
        Who let them, and when; None when nobody did.
    """

    given_by: str | None
    given_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRow:
    """An alias that a version can be given.

    Attributes
    ----------
    present
        The version that it means now; None for none.
    is_here
        Whether it is this version.
    """

    alias: str
    present: int | None
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployView:
    """The form to put a version behind an endpoint. Who serves stands above the registry, and fills it in.

    Attributes
    ----------
    endpoint
        Name that is proposed; empty where there is none.
    standing
        Endpoints of the model, with the version that answers at each.
    strategies, strategy
        Values with words to be translated, and the one that is proposed.
    seen
        `standing`, as the form sends it back.
    max_name_chars, max_reason_chars
        Limits of the fields.
    """

    endpoint: str
    standing: tuple[tuple[str, int], ...]
    strategies: tuple[tuple[str, str], ...]
    strategy: str
    seen: tuple[str, ...]
    max_name_chars: int
    max_reason_chars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionContext(PageContext):
    """What the page of a version shows.

    Attributes
    ----------
    now
        When it was read.
    model, version, ref
        What it is a version of, its number, and both as a reference.
    latest
        The newest version of the model.
    stage
        In words to be translated; empty for none.
    stage_key, stages
        The stage as forms send it, and all of them with words to be translated.
    id, digest
        Of the version and of its files; the digest is empty when they are not in this workspace.
    task, format, flavor
        Empty where they are not known.
    author, created_at
        Who registered it, and when.
    message
        What they said.
    description, description_revision
        Markdown, and what tells it apart from another.
    tags
        Key and value.
    place
        Where it was registered from; empty for a version that was registered by its files.
    signature
        None where it is not known.
    classes
        That it answers with; empty for a number.
    holdout_metric, holdout_value, holdout_n
        How it did on rows kept apart; an empty metric where that is not known.
    metrics
        Figures that were given at registration.
    source
        None for a version without a run.
    dataset, dataset_url
        What it was trained on.
    consent
        None for a version whose files run no code.
    promotions
        Aliases that it has or can have.
    serving
        Endpoints that need it; such a version cannot be deleted.
    lineage
        What it came from, and where it answers.
    is_cut
        Whether the lineage goes on beyond the drawing.
    files
        As a tree; None where they are not in this workspace, or too many to list.
    packages
        Those that were built of it, newest first.
    may_promote, may_write
        Whether the reader may move aliases and delete, and describe and tag.
    validation
        Its newest report; None where there is none.
    deploy
        None where the reader may not deploy, or the version cannot be served.
    """

    now: datetime
    model: str
    version: int
    ref: str
    latest: int
    stage: str
    stage_key: str
    stages: tuple[tuple[str, str], ...]
    id: str
    digest: str
    task: str
    format: str
    flavor: str
    author: str
    created_at: datetime
    message: str
    description: str
    description_revision: str
    tags: tuple[tuple[str, str], ...]
    place: str
    signature: SignatureView | None
    classes: tuple[str, ...]
    holdout_metric: str
    holdout_value: float | None
    holdout_n: int | None
    metrics: tuple[tuple[str, float], ...]
    source: SourceRow | None
    dataset: str
    dataset_url: str
    consent: ConsentRow | None
    promotions: tuple[PromotionRow, ...]
    serving: tuple[ServingRow, ...]
    lineage: GraphDrawing
    is_cut: bool
    files: tuple[Entry, ...] | None
    packages: tuple[PackageRow, ...]
    may_promote: bool
    may_write: bool
    validation: Standing | None
    deploy: DeployView | None = None


def version_page(visit: Visit) -> VersionContext:
    """Show a version."""
    project = visit.parameters["project"]
    models = visit.context.service(Models)
    model = models.get(project, visit.parameters["model"])
    version = models.version(project, model.name, version_number(visit))
    endpoints = visit.context.service(ModelPages).serving(project, [version]).get(version.version, ())
    source = _source(visit, version)
    lineage, is_cut = _lineage(visit, version)
    caller, holdout = visit.context.principal, version.holdout
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
        id=version.id,
        digest=version.digest or "",
        task=version.task.value if version.task else "",
        format=version.format or "",
        flavor=version.flavor or "",
        author=version.author,
        created_at=version.created_at,
        message=version.message,
        description=version.description or "",
        description_revision=text_revision(version.description or ""),
        tags=tuple(version.tags.items()),
        place=version.source or "",
        signature=_signature(version.signature) if version.signature else None,
        classes=tuple(str(each) for each in version.classes or ())[:MAX_COLUMNS],
        holdout_metric=holdout.metric if holdout else "",
        holdout_value=holdout.value if holdout else None,
        holdout_n=holdout.n if holdout else None,
        metrics=tuple(sorted(version.metrics.items()))[:MAX_COLUMNS],
        source=source,
        dataset=version.origin.dataset or "",
        dataset_url=dataset_url(visit, project, version.origin.dataset),
        consent=_consent(version),
        promotions=_promotions(model, version.version),
        serving=serving_rows(visit, project, [(name, version.version) for name in endpoints]),
        lineage=lineage,
        is_cut=is_cut,
        files=_files(visit, version),
        packages=package_rows(visit, version),
        validation=standing(visit, version),
        may_promote=caller.may(PROMOTE_MODELS, project),
        may_write=caller.may(REGISTER_MODELS, project),
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

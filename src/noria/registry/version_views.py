"""What the page of a version shows, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noria.core.web.graphs import GraphDrawing
from noria.core.web.pages import PageContext
from noria.core.web.retelling import Sentence
from noria.core.web.trees import Entry
from noria.registry.pages_list import ServingRow
from noria.registry.pages_packages import PackageRow
from noria.registry.validation.pages import Standing


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
class AboutView:
    """What a version is.

    Attributes
    ----------
    id, digest
        Of the version and of its files; the digest is empty when they are not in this workspace.
    task, format, flavor
        Empty where they are not known.
    author, created_at
        Who registered it, and when.
    message
        What they said.
    place
        Where it was registered from; empty for a version that was registered by its files.
    """

    id: str
    digest: str
    task: str
    format: str
    flavor: str
    author: str
    created_at: datetime
    message: Sentence
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldoutView:
    """How a version did on rows kept apart."""

    metric: str
    value: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginView:
    """What a version came from.

    Attributes
    ----------
    source
        None for a version without a run.
    dataset, dataset_url
        What it was trained on.
    lineage
        What it came from, and where it answers.
    is_cut
        Whether the lineage goes on beyond the drawing.
    """

    source: SourceRow | None
    dataset: str
    dataset_url: str
    lineage: GraphDrawing
    is_cut: bool


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
    about
        What it is, and who registered it.
    description, description_revision
        Markdown, and what tells it apart from another.
    tags
        Key and value.
    signature
        None where it is not known.
    classes
        That it answers with; empty for a number.
    holdout
        None where that is not known.
    metrics
        Figures that were given at registration.
    origin
        What it came from.
    consent
        None for a version whose files run no code.
    promotions
        Aliases that it has or can have.
    serving
        Endpoints that need it; such a version cannot be deleted.
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
    about: AboutView
    description: str
    description_revision: str
    tags: tuple[tuple[str, str], ...]
    signature: SignatureView | None
    classes: tuple[str, ...]
    holdout: HoldoutView | None
    metrics: tuple[tuple[str, float], ...]
    origin: OriginView
    consent: ConsentRow | None
    promotions: tuple[PromotionRow, ...]
    serving: tuple[ServingRow, ...]
    files: tuple[Entry, ...] | None
    packages: tuple[PackageRow, ...]
    may_promote: bool
    may_write: bool
    validation: Standing | None
    deploy: DeployView | None = None

"""What the pages of models can do about where versions stand: move aliases and stages."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Confirmation, Done, Stale, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import MODEL_PATH, VERSION_PATH
from noria.registry.entities import AliasTarget, Model, ModelVersion, Stage, StageMove
from noria.registry.page_subjects import (
    known_version,
    model_of,
    model_page,
    models_of,
    told,
    version_of,
    version_page,
)
from noria.registry.permissions import PROMOTE_MODELS
from noria.registry.rules import MAX_ALIAS_CHARS
from noria.registry.versions import ModelVersions


class AliasForm(msgspec.Struct, frozen=True, kw_only=True):
    """Where an alias shall point.

    Attributes
    ----------
    was
        Where it pointed when the form was made; None where the form does not know.
    seen
        Where each alias pointed then, for a form in which the alias is typed: `champion=1`, and `=` in any case.
    is_undo
        Whether it goes back to where it was a moment ago, which needs no question.
    """

    alias: Annotated[str, msgspec.Meta(max_length=MAX_ALIAS_CHARS)]
    version: Annotated[int, msgspec.Meta(ge=1)]
    was: int | None = None
    seen: list[str] = []
    is_undo: bool = False


class AliasName(msgspec.Struct, frozen=True, kw_only=True):
    """An alias to take away; `is_undo` as above."""

    alias: Annotated[str, msgspec.Meta(max_length=MAX_ALIAS_CHARS)]
    is_undo: bool = False


class StageForm(msgspec.Struct, frozen=True, kw_only=True):
    """Where a version shall stand.

    Attributes
    ----------
    archive
        Whether the versions that stand there now go to the archive.
    was
        Where it stood when the form was made; None where the form does not know.
    """

    stage: Stage
    archive: bool = False
    was: Stage | None = None


def set_alias(visit: Visit, form: AliasForm) -> Done:
    """Point an alias at a version."""
    model = model_of(visit)
    before = model.aliases.get(form.alias)
    _check_alias(form, before)
    known_version(visit, model, form.version)
    models_of(visit).set_alias(model.project, model.name, form.alias, AliasTarget(version=form.version))
    return Done(
        words=mark("`%(alias)s` now means version %(version)s of `%(model)s`"),
        values={"alias": form.alias, "version": str(form.version), "model": model.name},
        undo=None if before == form.version else _undo_alias(visit, model, form.alias, before),
    )


def confirm_alias(visit: Visit, form: AliasForm) -> Confirmation | None:
    """Show what an alias would no longer mean, and what it would."""
    model = model_of(visit)
    after = known_version(visit, model, form.version)
    before = model.aliases.get(form.alias)
    _check_alias(form, before)
    if form.is_undo or before in (None, form.version):
        return None
    replaced = models_of(visit).version(model.project, model.name, before) if before else after
    return Confirmation(
        words=mark("Let `%(alias)s` of `%(model)s` mean version %(version)s?"),
        consequences=(
            mark("It means version %(before)s now: %(before_told)s"),
            mark("Version %(version)s takes its place: %(version_told)s"),
            mark("Endpoints go on with the versions that they serve: `noria deploy` changes those"),
        ),
        values={
            "alias": form.alias,
            "model": model.name,
            "version": str(form.version),
            "before": str(before),
            "before_told": told(replaced),
            "version_told": told(after),
        },
        button=mark("Move the alias"),
        back=model_page(visit),
    )


def _check_alias(form: AliasForm, before: int | None) -> None:
    """Refuse to move an alias from a version that the page did not show."""
    now = "–" if before is None else f"v{before}"
    if form.was is not None and before not in (form.was, form.version):
        raise Stale({"version": now})
    seen = dict(pair.rsplit("=", 1) for pair in form.seen if "=" in pair)
    if seen and str(before or "") not in (seen.get(form.alias, ""), str(form.version)):
        raise Stale({"alias": now})


def remove_alias(visit: Visit, form: AliasName) -> Done:
    """Take an alias away."""
    model = model_of(visit)
    before = model.aliases.get(form.alias)
    models_of(visit).delete_alias(model.project, model.name, form.alias)
    return Done(
        words=mark("`%(alias)s` means no version of `%(model)s` any more"),
        values={"alias": form.alias, "model": model.name},
        undo=_undo_alias(visit, model, form.alias, before),
    )


def confirm_remove_alias(visit: Visit, form: AliasName) -> Confirmation | None:
    """Ask before programs that load a model by its alias find none."""
    if form.is_undo:
        return None
    model = model_of(visit)
    return Confirmation(
        words=mark("Take the alias `%(alias)s` from `%(model)s`?"),
        consequences=(mark("Programs that load the model by it find none. The version stays."),),
        values={"alias": form.alias, "model": model.name},
        button=mark("Remove"),
        back=model_page(visit),
    )


def move_stage(visit: Visit, form: StageForm) -> Done:
    """Let a version stand in another stage."""
    version = version_of(visit)
    _check_stage(form, version)
    archive = form.archive and form.stage.is_active
    to = StageMove(stage=form.stage.value, archive_existing=archive)
    visit.context.service(ModelVersions).move(version.project, version.model, version.version, to)
    undo = Undo(to=version_page(visit, "stage"), fields={"stage": version.stage.value})
    return Done(
        words=mark("`%(ref)s` stands in another stage now"),
        values={"ref": version.ref},
        # Those that went to the archive stay there: what took them back would have to know them all.
        undo=None if archive or version.stage is form.stage else undo,
    )


def confirm_stage(visit: Visit, form: StageForm) -> Confirmation | None:
    """Name the versions that would go to the archive."""
    version = version_of(visit)
    _check_stage(form, version)
    if not (form.archive and form.stage.is_active):
        return None
    stood = visit.context.service(ModelVersions).newest(version.project, version.model, [form.stage.value])
    others = [each.ref for each in stood.items if each.version != version.version]
    if not others:
        return None
    return Confirmation(
        words=mark("Move `%(ref)s`, and send what stands there to the archive?"),
        consequences=(
            mark("The newest that goes to the archive: `%(others)s`"),
            mark("Older versions in that stage go there too, and each comes back by its own page"),
        ),
        values={"ref": version.ref, "others": ", ".join(others)},
        button=mark("Move it"),
        back=version_page(visit),
    )


def _check_stage(form: StageForm, version: ModelVersion) -> None:
    if form.was is not None and version.stage not in (form.was, form.stage):
        raise Stale({"stage": version.stage.value})


def _undo_alias(visit: Visit, model: Model, alias: str, before: int | None) -> Undo:
    if before is None:
        return Undo(to=model_page(visit, "unalias"), fields={"alias": alias, "is_undo": "true"})
    fields = {"alias": alias, "version": str(before), "is_undo": "true"}
    return Undo(to=visit.urls.model(model.project, model.name, "alias"), fields=fields)


ACTIONS = (
    Action(
        path=f"{MODEL_PATH}/alias",
        needs=PROMOTE_MODELS,
        fields=AliasForm,
        handle=set_alias,
        confirm=confirm_alias,
    ),
    Action(
        path=f"{MODEL_PATH}/unalias",
        needs=PROMOTE_MODELS,
        fields=AliasName,
        handle=remove_alias,
        confirm=confirm_remove_alias,
    ),
    Action(
        path=f"{VERSION_PATH}/stage",
        needs=PROMOTE_MODELS,
        fields=StageForm,
        handle=move_stage,
        confirm=confirm_stage,
    ),
)

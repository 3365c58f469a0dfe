"""What the pages of models can do: move aliases, tag and describe, delete."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.errors import NotFound
from noria.core.web.actions import (
    Action,
    Confirmation,
    Done,
    FieldError,
    FieldsRefused,
    NoFields,
    Stale,
    Undo,
)
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.revisions import check_tag, check_untag, text_revision
from noria.core.web.urls import DELETED_MODEL_PATH, MODEL_PATH, VERSION_PATH
from noria.registry.deleted import DeletedModels, DeletedVersions
from noria.registry.entities import (
    AliasTarget,
    Description,
    Model,
    ModelVersion,
    Stage,
    StageMove,
    TagChanges,
)
from noria.registry.permissions import PROMOTE_MODELS, REGISTER_MODELS
from noria.registry.rows import ModelVersionNotFound
from noria.registry.rules import MAX_ALIAS_CHARS, MAX_TAG_CHARS, MAX_TEXT_CHARS
from noria.registry.service import Models
from noria.registry.versions import ModelVersions
from noria.tracking.limits import MAX_KEY_CHARS


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


class TagForm(msgspec.Struct, frozen=True, kw_only=True):
    """A tag to set."""

    key: Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS)]
    value: Annotated[str, msgspec.Meta(max_length=MAX_TAG_CHARS)] = ""
    was: str = ""


class TagKey(msgspec.Struct, frozen=True, kw_only=True):
    """A tag to remove; `was` is the revision of the value that the page showed."""

    key: Annotated[str, msgspec.Meta(max_length=MAX_KEY_CHARS)]
    was: str = ""


class TextForm(msgspec.Struct, frozen=True, kw_only=True):
    """A description in Markdown; `was` is the revision of the one that the form was made with."""

    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARS)] = ""
    was: str = ""


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
    model = _model(visit)
    before = model.aliases.get(form.alias)
    _check_alias(form, before)
    _known_version(visit, model, form.version)
    _models(visit).set_alias(model.project, model.name, form.alias, AliasTarget(version=form.version))
    return Done(
        words=mark("`%(alias)s` now means version %(version)s of `%(model)s`"),
        values={"alias": form.alias, "version": str(form.version), "model": model.name},
        undo=None if before == form.version else _undo_alias(visit, model, form.alias, before),
    )


def confirm_alias(visit: Visit, form: AliasForm) -> Confirmation | None:
    """Show what an alias would no longer mean, and what it would."""
    model = _model(visit)
    after = _known_version(visit, model, form.version)
    before = model.aliases.get(form.alias)
    _check_alias(form, before)
    if form.is_undo or before in (None, form.version):
        return None
    replaced = _models(visit).version(model.project, model.name, before) if before else after
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
            "before_told": _told(replaced),
            "version_told": _told(after),
        },
        button=mark("Move the alias"),
        back=_page(visit),
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
    model = _model(visit)
    before = model.aliases.get(form.alias)
    _models(visit).delete_alias(model.project, model.name, form.alias)
    return Done(
        words=mark("`%(alias)s` means no version of `%(model)s` any more"),
        values={"alias": form.alias, "model": model.name},
        undo=_undo_alias(visit, model, form.alias, before),
    )


def confirm_remove_alias(visit: Visit, form: AliasName) -> Confirmation | None:
    """Ask before programs that load a model by its alias find none."""
    if form.is_undo:
        return None
    model = _model(visit)
    return Confirmation(
        words=mark("Take the alias `%(alias)s` from `%(model)s`?"),
        consequences=(mark("Programs that load the model by it find none. The version stays."),),
        values={"alias": form.alias, "model": model.name},
        button=mark("Remove"),
        back=_page(visit),
    )


def tag_model(visit: Visit, form: TagForm) -> Done:
    """Set a tag of a model."""
    model = _model(visit)
    check_tag(model.tags.items(), form.was, key=form.key, value=form.value)
    _tag_model(visit, model, form.key, form.value)
    return _tagged(model.tags.get(form.key), form.key, _page(visit, "tag"), _page(visit, "untag"))


def untag_model(visit: Visit, form: TagKey) -> Done:
    """Remove a tag of a model."""
    model = _model(visit)
    check_untag(model.tags.items(), form.was, key=form.key)
    _tag_model(visit, model, form.key, None)
    return _untagged(model.tags.get(form.key), form.key, _page(visit, "tag"))


def describe_model(visit: Visit, form: TextForm) -> Done:
    """Say what a model is for, unless somebody else did meanwhile."""
    model = _model(visit)
    _check_fresh(form, model.description or "")
    _models(visit).describe(model.project, model.name, Description(text=form.text.strip() or None))
    return _described(form, model.description or "", _page(visit, "describe"))


def move_stage(visit: Visit, form: StageForm) -> Done:
    """Let a version stand in another stage."""
    version = _version(visit)
    _check_stage(form, version)
    archive = form.archive and form.stage.is_active
    to = StageMove(stage=form.stage.value, archive_existing=archive)
    visit.context.service(ModelVersions).move(version.project, version.model, version.version, to)
    undo = Undo(to=_version_page(visit, "stage"), fields={"stage": version.stage.value})
    return Done(
        words=mark("`%(ref)s` stands in another stage now"),
        values={"ref": version.ref},
        # Those that went to the archive stay there: what took them back would have to know them all.
        undo=None if archive or version.stage is form.stage else undo,
    )


def confirm_stage(visit: Visit, form: StageForm) -> Confirmation | None:
    """Name the versions that would go to the archive."""
    version = _version(visit)
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
        back=_version_page(visit),
    )


def _check_stage(form: StageForm, version: ModelVersion) -> None:
    if form.was is not None and version.stage not in (form.was, form.stage):
        raise Stale({"stage": version.stage.value})


def delete_model(visit: Visit, _form: NoFields) -> Done:
    """Delete a model with its versions."""
    model = _model(visit)
    _models(visit).delete(model.project, model.name)
    return Done(
        to=visit.urls.models(model.project),
        words=mark("The model `%(model)s` is deleted"),
        values={"model": model.name},
        undo=Undo(to=visit.urls.restore_model(model.project, model.id)),
    )


def restore_model(visit: Visit, _form: NoFields) -> Done:
    """Bring a deleted model back."""
    project, deleted = visit.parameters["project"], visit.context.service(DeletedModels)
    back = deleted.restore(project, visit.parameters["model_id"])
    return Done(
        to=visit.urls.model(project, back.name),
        words=mark("The model `%(model)s` is there again"),
        values={"model": back.name},
    )


def confirm_delete_model(visit: Visit, _form: NoFields) -> Confirmation:
    """Ask for the name before a model is deleted."""
    model = _model(visit)
    return Confirmation(
        words=mark("Delete the model `%(model)s` with all its versions?"),
        consequences=(
            mark("Its aliases, tags and versions go with it"),
            mark("It can be restored until `noria gc` removes it for good"),
            mark("Runs and data sets stay"),
        ),
        values={"model": model.name},
        button=mark("Delete"),
        back=_page(visit),
        typed=model.name,
    )


def tag_version(visit: Visit, form: TagForm) -> Done:
    """Set a tag of a version."""
    version = _version(visit)
    check_tag(version.tags.items(), form.was, key=form.key, value=form.value)
    _tag_version(visit, version, form.key, form.value)
    return _tagged(
        version.tags.get(form.key), form.key, _version_page(visit, "tag"), _version_page(visit, "untag")
    )


def untag_version(visit: Visit, form: TagKey) -> Done:
    """Remove a tag of a version."""
    version = _version(visit)
    check_untag(version.tags.items(), form.was, key=form.key)
    _tag_version(visit, version, form.key, None)
    return _untagged(version.tags.get(form.key), form.key, _version_page(visit, "tag"))


def describe_version(visit: Visit, form: TextForm) -> Done:
    """Say what a version is about, unless somebody else did meanwhile."""
    version = _version(visit)
    _check_fresh(form, version.description or "")
    visit.context.service(ModelVersions).describe(
        version.project, version.model, version.version, Description(text=form.text.strip() or None)
    )
    return _described(form, version.description or "", _version_page(visit, "describe"))


def delete_version(visit: Visit, _form: NoFields) -> Done:
    """Delete a version."""
    version = _version(visit)
    visit.context.service(ModelVersions).delete(version.project, version.model, version.version)
    return Done(
        to=_page(visit),
        words=mark("`%(ref)s` is deleted"),
        values={"ref": version.ref},
        undo=Undo(to=_version_page(visit, "restore")),
    )


def restore_version(visit: Visit, _form: NoFields) -> Done:
    """Bring a deleted version back."""
    restored = visit.context.service(DeletedVersions).restore(
        visit.parameters["project"], visit.parameters["model"], version_number(visit)
    )
    return Done(
        to=_version_page(visit),
        words=mark("`%(ref)s` is there again, without aliases"),
        values={"ref": restored.ref},
    )


def confirm_delete_version(visit: Visit, _form: NoFields) -> Confirmation:
    """Ask for the reference before a version is deleted."""
    version = _version(visit)
    aliased = (mark("The aliases that point at it go with it: %(aliases)s"),) if version.aliases else ()
    return Confirmation(
        words=mark("Delete `%(ref)s`?"),
        consequences=(
            mark(
                "It can be restored until `noria gc` removes it for good, and its number is never given again"
            ),
            *aliased,
        ),
        values={"ref": version.ref, "aliases": ", ".join(version.aliases)},
        button=mark("Delete"),
        back=_version_page(visit),
        typed=version.ref,
    )


def _models(visit: Visit) -> Models:
    return visit.context.service(Models)


def _model(visit: Visit) -> Model:
    return _models(visit).get(visit.parameters["project"], visit.parameters["model"])


def _version(visit: Visit) -> ModelVersion:
    model = _model(visit)
    return _models(visit).version(model.project, model.name, version_number(visit))


def version_number(visit: Visit) -> int:
    """Give the number in the address.

    Raises
    ------
    NotFound
        If it is none.
    """
    given = visit.parameters["version"]
    if not (given.isascii() and given.isdecimal()) or len(given) > 15:
        raise NotFound(f"`{given[:60]}` is no number of a version", hint="Choose one of the list")
    return int(given)


def _known_version(visit: Visit, model: Model, number: int) -> ModelVersion:
    try:
        return _models(visit).version(model.project, model.name, number)
    except ModelVersionNotFound as error:
        wrong = FieldError(words=mark("There is no such version"))
        raise FieldsRefused({"version": wrong}) from error


def _told(version: ModelVersion) -> str:
    """Tell a version in figures and names, which need no translation."""
    holdout = version.holdout
    metric = f"{holdout.metric} {holdout.value:.4g} (n = {holdout.n}), " if holdout else ""
    return f"{metric}{version.author}, {version.created_at:%Y-%m-%d %H:%M} UTC"


def _undo_alias(visit: Visit, model: Model, alias: str, before: int | None) -> Undo:
    if before is None:
        return Undo(to=_page(visit, "unalias"), fields={"alias": alias, "is_undo": "true"})
    fields = {"alias": alias, "version": str(before), "is_undo": "true"}
    return Undo(to=visit.urls.model(model.project, model.name, "alias"), fields=fields)


def _tag_model(visit: Visit, model: Model, key: str, value: str | None) -> None:
    _models(visit).tag(model.project, model.name, TagChanges(tags={key: value}))


def _tag_version(visit: Visit, version: ModelVersion, key: str, value: str | None) -> None:
    changes = TagChanges(tags={key: value})
    visit.context.service(ModelVersions).tag(version.project, version.model, version.version, changes)


def _tagged(before: str | None, key: str, set_url: str, remove_url: str) -> Done:
    undo = (
        Undo(to=remove_url, fields={"key": key})
        if before is None
        else Undo(to=set_url, fields={"key": key, "value": before})
    )
    return Done(words=mark("The tag `%(key)s` is set"), values={"key": key}, undo=undo)


def _untagged(before: str | None, key: str, set_url: str) -> Done:
    undo = None if before is None else Undo(to=set_url, fields={"key": key, "value": before})
    return Done(words=mark("The tag `%(key)s` is removed"), values={"key": key}, undo=undo)


def _check_fresh(form: TextForm, present: str) -> None:
    if form.was != text_revision(present) and form.text != present:
        raise Stale({"text": present})


def _described(form: TextForm, before: str, url: str) -> Done:
    fields = {"text": before, "was": text_revision(form.text.strip())}
    return Done(words=mark("The description is kept"), undo=Undo(to=url, fields=fields))


def _page(visit: Visit, part: str = "") -> str:
    return visit.urls.model(visit.parameters["project"], visit.parameters["model"], part)


def _version_page(visit: Visit, part: str = "") -> str:
    return visit.urls.version(
        visit.parameters["project"], visit.parameters["model"], version_number(visit), part
    )


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
    Action(path=f"{MODEL_PATH}/tag", needs=REGISTER_MODELS, fields=TagForm, handle=tag_model),
    Action(path=f"{MODEL_PATH}/untag", needs=REGISTER_MODELS, fields=TagKey, handle=untag_model),
    Action(path=f"{MODEL_PATH}/describe", needs=REGISTER_MODELS, fields=TextForm, handle=describe_model),
    Action(
        path=f"{MODEL_PATH}/delete",
        needs=PROMOTE_MODELS,
        fields=NoFields,
        handle=delete_model,
        confirm=confirm_delete_model,
    ),
    Action(path=f"{DELETED_MODEL_PATH}/restore", needs=PROMOTE_MODELS, fields=NoFields, handle=restore_model),
    Action(path=f"{VERSION_PATH}/tag", needs=REGISTER_MODELS, fields=TagForm, handle=tag_version),
    Action(path=f"{VERSION_PATH}/untag", needs=REGISTER_MODELS, fields=TagKey, handle=untag_version),
    Action(path=f"{VERSION_PATH}/describe", needs=REGISTER_MODELS, fields=TextForm, handle=describe_version),
    Action(
        path=f"{VERSION_PATH}/stage",
        needs=PROMOTE_MODELS,
        fields=StageForm,
        handle=move_stage,
        confirm=confirm_stage,
    ),
    Action(path=f"{VERSION_PATH}/restore", needs=PROMOTE_MODELS, fields=NoFields, handle=restore_version),
    Action(
        path=f"{VERSION_PATH}/delete",
        needs=PROMOTE_MODELS,
        fields=NoFields,
        handle=delete_version,
        confirm=confirm_delete_version,
    ),
)

"""What the pages of models can do about words: tag and describe models and versions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from noria.core.web.actions import Action, Done, Stale, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.revisions import check_tag, check_untag, text_revision
from noria.core.web.urls import MODEL_PATH, VERSION_PATH
from noria.registry.entities import Description, Model, ModelVersion, TagChanges
from noria.registry.page_subjects import model_of, model_page, models_of, version_of, version_page
from noria.registry.permissions import REGISTER_MODELS
from noria.registry.rules import MAX_TAG_CHARS, MAX_TEXT_CHARS
from noria.registry.versions import ModelVersions
from noria.tracking.limits import MAX_KEY_CHARS


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


def tag_model(visit: Visit, form: TagForm) -> Done:
    """Set a tag of a model."""
    model = model_of(visit)
    check_tag(model.tags.items(), form.was, key=form.key, value=form.value)
    _tag_model(visit, model, form.key, form.value)
    return _tagged(model.tags.get(form.key), form.key, model_page(visit, "tag"), model_page(visit, "untag"))


def untag_model(visit: Visit, form: TagKey) -> Done:
    """Remove a tag of a model."""
    model = model_of(visit)
    check_untag(model.tags.items(), form.was, key=form.key)
    _tag_model(visit, model, form.key, None)
    return _untagged(model.tags.get(form.key), form.key, model_page(visit, "tag"))


def describe_model(visit: Visit, form: TextForm) -> Done:
    """Say what a model is for, unless somebody else did meanwhile."""
    model = model_of(visit)
    _check_fresh(form, model.description or "")
    models_of(visit).describe(model.project, model.name, Description(text=form.text.strip() or None))
    return _described(form, model.description or "", model_page(visit, "describe"))


def tag_version(visit: Visit, form: TagForm) -> Done:
    """Set a tag of a version."""
    version = version_of(visit)
    check_tag(version.tags.items(), form.was, key=form.key, value=form.value)
    _tag_version(visit, version, form.key, form.value)
    return _tagged(
        version.tags.get(form.key), form.key, version_page(visit, "tag"), version_page(visit, "untag")
    )


def untag_version(visit: Visit, form: TagKey) -> Done:
    """Remove a tag of a version."""
    version = version_of(visit)
    check_untag(version.tags.items(), form.was, key=form.key)
    _tag_version(visit, version, form.key, None)
    return _untagged(version.tags.get(form.key), form.key, version_page(visit, "tag"))


def describe_version(visit: Visit, form: TextForm) -> Done:
    """Say what a version is about, unless somebody else did meanwhile."""
    version = version_of(visit)
    _check_fresh(form, version.description or "")
    visit.context.service(ModelVersions).describe(
        version.project, version.model, version.version, Description(text=form.text.strip() or None)
    )
    return _described(form, version.description or "", version_page(visit, "describe"))


def _tag_model(visit: Visit, model: Model, key: str, value: str | None) -> None:
    models_of(visit).tag(model.project, model.name, TagChanges(tags={key: value}))


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


ACTIONS = (
    Action(path=f"{MODEL_PATH}/tag", needs=REGISTER_MODELS, fields=TagForm, handle=tag_model),
    Action(path=f"{MODEL_PATH}/untag", needs=REGISTER_MODELS, fields=TagKey, handle=untag_model),
    Action(path=f"{MODEL_PATH}/describe", needs=REGISTER_MODELS, fields=TextForm, handle=describe_model),
    Action(path=f"{VERSION_PATH}/tag", needs=REGISTER_MODELS, fields=TagForm, handle=tag_version),
    Action(path=f"{VERSION_PATH}/untag", needs=REGISTER_MODELS, fields=TagKey, handle=untag_version),
    Action(path=f"{VERSION_PATH}/describe", needs=REGISTER_MODELS, fields=TextForm, handle=describe_version),
)

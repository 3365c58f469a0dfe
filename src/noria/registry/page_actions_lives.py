"""What the pages of models can do about their lives: delete models and versions, and bring them back."""

from __future__ import annotations

from noria.core.web.actions import Action, Confirmation, Done, NoFields, Undo
from noria.core.web.languages import mark
from noria.core.web.pages import Visit
from noria.core.web.urls import DELETED_MODEL_PATH, MODEL_PATH, VERSION_PATH
from noria.registry.deleted import DeletedModels, DeletedVersions
from noria.registry.page_subjects import (
    model_of,
    model_page,
    models_of,
    version_number,
    version_of,
    version_page,
)
from noria.registry.permissions import PROMOTE_MODELS
from noria.registry.versions import ModelVersions


def delete_model(visit: Visit, _form: NoFields) -> Done:
    """Delete a model with its versions."""
    model = model_of(visit)
    models_of(visit).delete(model.project, model.name)
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
    model = model_of(visit)
    return Confirmation(
        words=mark("Delete the model `%(model)s` with all its versions?"),
        consequences=(
            mark("Its aliases, tags and versions go with it"),
            mark("It can be restored until `noria gc` removes it for good"),
            mark("Runs and data sets stay"),
        ),
        values={"model": model.name},
        button=mark("Delete"),
        back=model_page(visit),
        typed=model.name,
    )


def delete_version(visit: Visit, _form: NoFields) -> Done:
    """Delete a version."""
    version = version_of(visit)
    visit.context.service(ModelVersions).delete(version.project, version.model, version.version)
    return Done(
        to=model_page(visit),
        words=mark("`%(ref)s` is deleted"),
        values={"ref": version.ref},
        undo=Undo(to=version_page(visit, "restore")),
    )


def restore_version(visit: Visit, _form: NoFields) -> Done:
    """Bring a deleted version back."""
    restored = visit.context.service(DeletedVersions).restore(
        visit.parameters["project"], visit.parameters["model"], version_number(visit)
    )
    return Done(
        to=version_page(visit),
        words=mark("`%(ref)s` is there again, without aliases"),
        values={"ref": restored.ref},
    )


def confirm_delete_version(visit: Visit, _form: NoFields) -> Confirmation:
    """Ask for the reference before a version is deleted."""
    version = version_of(visit)
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
        back=version_page(visit),
        typed=version.ref,
    )


ACTIONS = (
    Action(
        path=f"{MODEL_PATH}/delete",
        needs=PROMOTE_MODELS,
        fields=NoFields,
        handle=delete_model,
        confirm=confirm_delete_model,
    ),
    Action(path=f"{DELETED_MODEL_PATH}/restore", needs=PROMOTE_MODELS, fields=NoFields, handle=restore_model),
    Action(
        path=f"{VERSION_PATH}/delete",
        needs=PROMOTE_MODELS,
        fields=NoFields,
        handle=delete_version,
        confirm=confirm_delete_version,
    ),
    Action(path=f"{VERSION_PATH}/restore", needs=PROMOTE_MODELS, fields=NoFields, handle=restore_version),
)

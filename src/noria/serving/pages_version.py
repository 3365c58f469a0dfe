"""The page of a version of a model, with the form that puts it behind an endpoint.

What a version is stands in the registry, below this capability: `noria.registry.pages_version` makes the page, and
this module completes it.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Final

import msgspec

from noria.core.errors import Invalid
from noria.core.names import MAX_NAME_LENGTH, check_name
from noria.core.web.actions import Action, Confirmation, Done, Stale, Undo
from noria.core.web.discussions import EARLIER
from noria.core.web.languages import mark
from noria.core.web.pages import Page, Visit
from noria.core.web.urls import VERSION_PATH
from noria.registry.page_subjects import version_number
from noria.registry.pages_version import version_page
from noria.registry.permissions import READ_MODELS
from noria.registry.version_views import DeployView, VersionContext
from noria.serving.entities import Deployment, Rollout, RolloutStatus, Strategy
from noria.serving.page_reads import EndpointReads, Standing
from noria.serving.permissions import DEPLOY
from noria.serving.service import Endpoints
from noria.serving.words import STRATEGY_MEANS, STRATEGY_WORDS

MAX_REASON_CHARS: Final = 1000


class DeployForm(msgspec.Struct, frozen=True, kw_only=True):
    """A version shall answer at an endpoint.

    Attributes
    ----------
    endpoint
        Its name; one that is not there yet is made.
    strategy
        How it takes the place of the version that answers there.
    reason
        Why; may be left empty.
    seen
        Which version answered where when the form was made: `digits=1`, one an endpoint.
    """

    endpoint: Annotated[str, msgspec.Meta(max_length=MAX_NAME_LENGTH)]
    strategy: Strategy = Strategy.CANARY
    reason: Annotated[str, msgspec.Meta(max_length=MAX_REASON_CHARS)] = ""
    seen: list[str] = []


def version_with_deployment(visit: Visit) -> VersionContext:
    """Show a version, and the form to deploy it to who may."""
    shown = version_page(visit)
    project = visit.parameters["project"]
    if not visit.context.principal.may(DEPLOY, project) or shown.signature is None:
        return shown
    standing = visit.context.service(EndpointReads).of_model(project, shown.model)
    view = DeployView(
        endpoint=standing[0].endpoint if standing else _proposed(shown.model),
        standing=tuple((each.endpoint, each.version) for each in standing),
        strategies=tuple((each.value, words) for each, words in STRATEGY_WORDS.items()),
        strategy=(Strategy.CANARY if standing else Strategy.REPLACE).value,
        seen=tuple(f"{each.endpoint}={each.version}" for each in standing),
        max_name_chars=MAX_NAME_LENGTH,
        max_reason_chars=MAX_REASON_CHARS,
    )
    return dataclasses.replace(shown, deploy=view)


def deploy(visit: Visit, form: DeployForm) -> Done:
    """Put a version behind an endpoint."""
    project, model, version = _place(visit)
    _check_fresh(form, _standing(visit, form.endpoint))
    wish = Deployment(
        model=model, version=version, strategy=form.strategy, reason=form.reason.strip() or None
    )
    made = visit.context.service(Endpoints).deploy(project, form.endpoint, wish)
    is_going = made.status in (RolloutStatus.RUNNING, RolloutStatus.PAUSED)
    return Done(
        to=visit.urls.rollout(project, made.id) if is_going else visit.urls.endpoint(project, form.endpoint),
        words=mark("The rollout of `%(ref)s` to `%(endpoint)s` has begun")
        if is_going
        else mark("`%(ref)s` answers every request of `%(endpoint)s`"),
        values={"ref": f"{model}@{version}", "endpoint": form.endpoint},
        undo=None if is_going else _undo(visit, made),
    )


def confirm_deploy(visit: Visit, form: DeployForm) -> Confirmation:
    """Show what answers at the endpoint now, and what will."""
    project, model, version = _place(visit)
    check_name("endpoint", form.endpoint)
    standing = _standing(visit, form.endpoint)
    _check_fresh(form, standing)
    return Confirmation(
        words=mark("Deploy `%(ref)s` to `%(endpoint)s`?"),
        consequences=_consequences(form, standing, version),
        values={
            "ref": f"{model}@{version}",
            "endpoint": form.endpoint,
            "old": str(standing.version) if standing else "",
        },
        button=mark("Deploy"),
        back=visit.urls.version(project, model, version),
    )


def _consequences(form: DeployForm, standing: Standing | None, version: int) -> tuple[str, ...]:
    if standing is None:
        return (mark("There is no such endpoint yet: it is made, and this version answers every request"),)
    if standing.version == version:
        return (mark("This version answers there already: nothing changes"),)
    now = mark("Version %(old)s answers there now")
    return (
        now,
        STRATEGY_MEANS[form.strategy],
        mark("This can be undone: the page of the endpoint rolls back"),
    )


def _check_fresh(form: DeployForm, standing: Standing | None) -> None:
    """Refuse a form that was made when another version answered."""
    seen = dict(pair.rsplit("=", 1) for pair in form.seen if "=" in pair)
    then, now = seen.get(form.endpoint), str(standing.version) if standing else None
    if then is not None and now != then:
        raise Stale({"endpoint": f"{form.endpoint} v{now}" if now else "–"})


def _undo(visit: Visit, made: Rollout) -> Undo | None:
    if made.from_version is None or made.from_version == made.to_version:
        return None
    fields = {"from_version": str(made.to_version), "to_version": str(made.from_version), "is_undo": "true"}
    return Undo(to=visit.urls.endpoint(made.project, made.endpoint, "rollback"), fields=fields)


def _standing(visit: Visit, endpoint: str) -> Standing | None:
    return visit.context.service(EndpointReads).standing(visit.parameters["project"], endpoint)


def _place(visit: Visit) -> tuple[str, str, int]:
    return visit.parameters["project"], visit.parameters["model"], version_number(visit)


def _proposed(model: str) -> str:
    """Give the model's name where an endpoint can be called so; models may be called anything."""
    try:
        return check_name("endpoint", model)
    except Invalid:
        return ""


PAGES = (
    Page(
        path=VERSION_PATH,
        needs=READ_MODELS,
        template="noria.registry/version.html",
        build=version_with_deployment,
        query=(EARLIER,),
    ),
)
ACTIONS = (
    Action(
        path=f"{VERSION_PATH}/deploy",
        needs=DEPLOY,
        fields=DeployForm,
        handle=deploy,
        confirm=confirm_deploy,
    ),
)

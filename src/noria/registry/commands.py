"""`noria models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, say, show, table

if TYPE_CHECKING:
    from noria.registry.entities import ModelVersion, TensorSpec

models = typer.Typer(no_args_is_help=True, help="Registered models, versions and aliases")

ModelArgument = Annotated[str, typer.Argument(help="Model.")]
RefArgument = Annotated[str, typer.Argument(help="`model`, `model@version` or `model@alias`.")]


@models.command("list")
def list_models(
    limit: LimitOption = 100,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List registered models."""
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        page = ws.service(Models).list(ws.project, limit=limit)
    rows = [
        (m.name, m.latest, [f"{alias}: {v}" for alias, v in m.aliases.items()], m.created_at)
        for m in page.items
    ]
    show(page, json=json, render=lambda _: table(["name", "latest", "aliases", "created"], rows))


@models.command("versions")
def versions(
    name: ModelArgument,
    limit: LimitOption = 50,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List a model's versions, newest first."""
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        page = ws.service(Models).versions(ws.project, name, limit=limit)
    columns = ["version", "aliases", "created", "data", "held out", "message"]
    rows = [
        (
            v.version,
            v.aliases,
            v.created_at,
            v.origin.dataset,
            v.holdout.value if v.holdout else None,
            v.message,
        )
        for v in page.items
    ]
    show(page, json=json, render=lambda _: table(columns, rows))


@models.command("show")
def show_version(
    ref: RefArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show a version: where it comes from, what it takes and gives, how good it is."""
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        version = ws.service(Models).resolve(ws.project, ref)
    show(version, json=json, render=version_facts)


@models.command("promote")
def promote(
    ref: RefArgument,
    alias: Annotated[str, typer.Argument(help="Alias to point at the version.")] = "champion",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Point an alias at a version."""
    from noria.registry.entities import AliasTarget
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        service = ws.service(Models)
        found = service.resolve(ws.project, ref)
        version = service.set_alias(ws.project, found.model, alias, AliasTarget(version=found.version))
    if json:
        show(version, json=True, render=version_facts)
    else:
        say(f"{version.model}@{alias} is version {version.version}")


def version_facts(version: ModelVersion) -> Any:
    """Lay out one version."""
    from noria.registry.entities import Stage

    held = version.holdout
    origin = version.origin
    return facts(
        [
            ("model", version.ref),
            ("aliases", version.aliases),
            ("stage", None if version.stage is Stage.NONE else version.stage.value),
            ("task", version.task.value if version.task else None),
            ("classes", version.classes),
            ("held out", f"{held.metric} {held.value:.4g} on {held.n} rows" if held else None),
            ("data", origin.dataset),
            ("pipeline", origin.pipeline),
            ("run", origin.run_id),
            ("inputs", _tensors(version.signature.inputs) if version.signature else None),
            ("outputs", _tensors(version.signature.outputs) if version.signature else None),
            ("format", version.format),
            ("flavor", version.flavor),
            ("pickles", _consent(version)),
            ("digest", version.digest),
            ("source", version.source),
            ("tags", [f"{key}: {value}" for key, value in version.tags.items()]),
            ("description", version.description),
            ("author", version.author),
            ("message", version.message),
            ("created", version.created_at),
        ]
    )


def _tensors(specs: list[TensorSpec]) -> list[str]:
    return [f"{spec.name} {spec.datatype} {spec.shape}" for spec in specs]


def _consent(version: ModelVersion) -> str | None:
    if not version.pickled:
        return None
    consent = version.consent
    return f"{consent.given_by} consented" if consent else f"need consent: noria models consent {version.ref}"

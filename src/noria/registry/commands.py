"""`noria models`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from noria.core.console.options import JsonFlag, LimitOption, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, say, show, table
from noria.registry import exchange_commands
from noria.registry.validation import commands as validation_commands

if TYPE_CHECKING:
    from noria.core.workspace import Workspace
    from noria.registry.entities import ModelVersion, TensorSpec
    from noria.registry.equality import Equality

models = typer.Typer(no_args_is_help=True, help="Registered models, versions and aliases")

models.command("push")(exchange_commands.push)
models.command("pull")(exchange_commands.pull)
models.command("validate")(validation_commands.validate)
models.command("report")(validation_commands.show_report)
models.command("gates")(validation_commands.show_gates)
models.command("approve")(validation_commands.approve)
models.command("withdraw")(validation_commands.withdraw)
models.command("export")(exchange_commands.export)
models.command("import")(exchange_commands.import_)

ModelArgument = Annotated[str, typer.Argument(help="Model.")]
RefArgument = Annotated[str, typer.Argument(help="`model`, `model@version` or `model@alias`.")]


@models.command("list")
def list_models(
    limit: LimitOption = 100,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that can be restored.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List registered models."""
    from noria.registry.deleted import DeletedModels
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        if deleted:
            gone = ws.service(DeletedModels).list(ws.project, limit=limit)
            lines = [(m.id, m.name, m.n_versions, m.deleted_at) for m in gone.items]
            show(gone, json=json, render=lambda _: table(["id", "name", "versions", "deleted"], lines))
            return
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
    deleted: Annotated[bool, typer.Option("--deleted", help="Those that can be restored.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """List a model's versions, newest first."""
    from noria.registry.deleted import DeletedVersions
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        if deleted:
            gone = ws.service(DeletedVersions).list(ws.project, name, limit=limit)
            lines = [(v.version, v.created_at, v.deleted_at, v.message) for v in gone.items]
            headings = ["version", "created", "deleted", "message"]
            show(gone, json=json, render=lambda _: table(headings, lines))
            return
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
        equality = None if json else _equality(ws, version)
    show(version, json=json, render=lambda shown: version_facts(shown, equality))


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


@models.command("rename")
def rename(
    name: ModelArgument,
    new_name: Annotated[str, typer.Argument(help="What it shall be called.")],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Give a model another name; the one before leads to it until another model takes it."""
    from noria.registry.entities import NewName
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        renamed = ws.service(Models).rename(ws.project, name, NewName(name=new_name))
    if json:
        show(renamed, json=True, render=str)
    else:
        say(f"`{name}` is `{renamed.name}` now")


@models.command("delete")
def delete(
    ref: Annotated[str, typer.Argument(help="`model@version`, or `model` with `--all-versions`.")],
    all_versions: Annotated[
        bool, typer.Option("--all-versions", help="Delete the model with every version.")
    ] = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Delete a version, or a model with all versions, which can be restored; `noria gc` frees what they kept."""
    from noria.core.errors import Invalid
    from noria.registry.rules import parse_model_ref
    from noria.registry.service import Models
    from noria.registry.versions import ModelVersions

    name, selector = parse_model_ref(ref)
    if (selector is None) != all_versions:
        raise Invalid(
            f"`{ref}` does not say what to delete",
            hint=f"Name one version, as `{name}@1`, or give the model with `--all-versions`",
        )
    with opened(workspace, project) as ws:
        if all_versions:
            model = ws.service(Models).get(ws.project, name)
            ws.service(Models).delete(ws.project, name)
            say(
                f"`{name}` is deleted with all versions; bring it back with `noria models restore {model.id}`"
            )
            return
        found = ws.service(Models).resolve(ws.project, ref)
        ws.service(ModelVersions).delete(ws.project, found.model, found.version)
    say(f"`{found.ref}` is deleted; bring it back with `noria models restore {found.ref}`")


@models.command("restore")
def restore(
    what: Annotated[
        str,
        typer.Argument(
            metavar="ID|MODEL@VERSION",
            help="As `noria models list --deleted` or `noria models versions MODEL --deleted` has it.",
        ),
    ],
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Bring a deleted model back, with the aliases and versions that it had, or a deleted version without aliases."""
    from noria.registry.deleted import DeletedModels, DeletedVersions

    name, _, number = what.rpartition("@")
    with opened(workspace, project) as ws:
        if name and number.isascii() and number.isdigit():
            version = ws.service(DeletedVersions).restore(ws.project, name, int(number))
            show(version, json=json, render=lambda found: f"`{found.ref}` is there again, without aliases")
            return
        back = ws.service(DeletedModels).restore(ws.project, what)
    show(back, json=json, render=lambda model: f"`{model.name}` is there again")


@models.command("consent")
def consent(
    ref: RefArgument,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the consent back.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Let a version's pickles, or its class, be loaded, which runs the code in them; bound to these very files."""
    from noria.registry.consents import Consents
    from noria.registry.service import Models

    with opened(workspace, project) as ws:
        found = ws.service(Models).resolve(ws.project, ref)
        consents = ws.service(Consents)
        change = consents.withdraw if withdraw else consents.give
        version = change(ws.project, found.model, found.version)
    if json:
        show(version, json=True, render=version_facts)
    elif version.consent is None:
        say(f"`{version.ref}` is loaded no longer; what is in memory stays until its server restarts")
    else:
        say(f"What `{version.ref}` holds may be loaded: {version.digest}")


def version_facts(version: ModelVersion, equality: Equality | None = None) -> Any:
    """Lay out one version.

    Parameters
    ----------
    equality
        Of its form in ONNX, if it was tried.
    """
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
            ("in ONNX", _told_equality(equality)),
            ("flavor", version.flavor),
            ("runs code", _consent(version)),
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


def _equality(ws: Workspace, version: ModelVersion) -> Equality | None:
    from noria.registry.equality import equality_of

    return None if version.digest is None else equality_of(ws.objects(version.project), version.digest)


def _told_equality(found: Equality | None) -> str | None:
    if found is None:
        return None
    if not found.equal:
        return f"not served: {found.reason}"
    return f"equal on {found.n_rows} rows: largest error {found.largest_error:.2g}, no label differs"


def _consent(version: ModelVersion) -> str | None:
    if not version.pickled:
        return None
    consent = version.consent
    return f"{consent.given_by} consented" if consent else f"need consent: noria models consent {version.ref}"

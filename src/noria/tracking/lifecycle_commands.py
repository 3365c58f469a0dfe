"""What `noria runs` and `noria experiments` do with whole runs and experiments: delete, restore, rename, show."""

from __future__ import annotations

from typing import Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, say, show

IdsArgument = Annotated[list[str], typer.Argument(metavar="ID…", help="Ids of the runs.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the experiment.")]


def delete_runs(ids: IdsArgument, workspace: WorkspaceOption = None, project: ProjectOption = None) -> None:
    """Delete runs; they can be restored until `noria gc` frees their space."""
    from noria.tracking.service import Runs

    with opened(workspace, project) as ws:
        for run_id in ids:
            ws.service(Runs).delete(ws.project, run_id)
            say(f"The run {run_id} is deleted; `noria runs restore {run_id}` brings it back")


def restore_runs(ids: IdsArgument, workspace: WorkspaceOption = None, project: ProjectOption = None) -> None:
    """Bring deleted runs back."""
    from noria.tracking.service import Runs

    with opened(workspace, project) as ws:
        for run_id in ids:
            restored = ws.service(Runs).restore(ws.project, run_id)
            say(f"The run {run_id} (`{restored.name}`) is back")


def delete_experiment(
    name: NameArgument, workspace: WorkspaceOption = None, project: ProjectOption = None
) -> None:
    """Delete an experiment and its runs; they can be restored until `noria gc` frees their space."""
    from noria.tracking.service import Experiments

    with opened(workspace, project) as ws:
        ws.service(Experiments).delete(ws.project, name)
    say(f"The experiment `{name}` is deleted; `noria experiments restore {name!r}` brings it back")


def restore_experiment(
    name: NameArgument, workspace: WorkspaceOption = None, project: ProjectOption = None
) -> None:
    """Bring a deleted experiment back, with the runs that were deleted with it."""
    from noria.tracking.service import Experiments

    with opened(workspace, project) as ws:
        ws.service(Experiments).restore(ws.project, name)
    say(f"The experiment `{name}` is back")


def rename_experiment(
    name: NameArgument,
    new_name: Annotated[str, typer.Argument(metavar="NEW_NAME", help="Its new name.")],
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Give an experiment another name."""
    from noria.tracking.experiment_entities import ExperimentChange
    from noria.tracking.service import Experiments

    with opened(workspace, project) as ws:
        ws.service(Experiments).rename(ws.project, name, ExperimentChange(name=new_name))
    say(f"The experiment `{name}` is called `{new_name}` now")


def show_experiment(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show one experiment and how many runs it has."""
    from noria.tracking.service import Experiments, Runs

    with opened(workspace, project) as ws:
        found = ws.service(Experiments).get(ws.project, name)
        counts = [c for c in ws.service(Runs).counts(ws.project).items if c.experiment == name]
    n_active = sum(c.n_runs for c in counts if not c.deleted)
    pairs: list[tuple[str, object]] = [
        ("number", found.number),
        ("created", found.created_at),
        ("updated", found.updated_at),
        ("deleted", found.deleted_at),
        ("runs", n_active),
        ("deleted runs", sum(c.n_runs for c in counts) - n_active),
        *((f"tag {key}", value) for key, value in found.tags.items()),
    ]
    show(found, json=json, render=lambda _: facts(pairs))

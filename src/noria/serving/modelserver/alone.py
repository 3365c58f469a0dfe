"""What `noria serve MODEL|PACKAGE` needs before it serves: a registered version, and an endpoint that serves it."""

from __future__ import annotations

from noria.core.errors import Conflict, NotFound
from noria.core.names import split_ref
from noria.core.workspace import Workspace
from noria.registry.service import Models
from noria.serving.client import deploy
from noria.serving.service import Endpoints


def ensure_endpoint(workspace: Workspace, ref: str, name: str | None) -> str:
    """Give the name of an endpoint that serves a model, made if there is none.

    Parameters
    ----------
    ref
        `digits`, `digits@3` or `digits@champion`. A version that an existing endpoint does not serve is not put there:
        that is what `noria deploy` is for.
    name
        Of the endpoint; the model's when left out.

    Raises
    ------
    Conflict
        If the endpoint serves another model or another version.
    """
    model, selector = split_ref(ref)
    chosen = name or model
    try:
        found = workspace.service(Endpoints).get(workspace.project, chosen)
    except NotFound:
        deploy(ref, endpoint=chosen, workspace=workspace)
        return chosen
    wanted = None if selector is None else workspace.service(Models).resolve(workspace.project, ref).version
    if found.model != model or wanted not in (None, *(share.version for share in found.shares)):
        serving = ", ".join(f"`{found.model}@{share.version}`" for share in found.shares)
        raise Conflict(
            f"The endpoint `{chosen}` serves {serving}, not `{ref}`",
            hint=f"Deploy it first: `noria deploy {ref} --to {chosen}`, or choose another with `--endpoint`",
        )
    return chosen

"""`noria import`: bring what another tool holds."""

from __future__ import annotations

import typer

from noria.interop.dvc.commands import import_from_dvc
from noria.interop.mlflow.importing.commands import import_from_mlflow

app = typer.Typer(no_args_is_help=True, help="Bring what another tool holds")


@app.callback()
def _import() -> None:
    """Bring what another tool holds."""


app.command("dvc")(import_from_dvc)
app.command("mlflow")(import_from_mlflow)

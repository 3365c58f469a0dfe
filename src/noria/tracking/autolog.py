"""MLflow's autologging, pointed at this workspace."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from noria.core.config import DEFAULT_PROJECT
from noria.core.errors import Conflict, Unavailable
from noria.core.key import read_key
from noria.core.workspace import Workspace, current_workspace
from noria.tracking.current import active
from noria.tracking.experiment_entities import DEFAULT_EXPERIMENT

_PARENT_TAG = "mlflow.parentRunId"
_TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable
_EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
_EXPERIMENT_ID = "MLFLOW_EXPERIMENT_ID"


class MlflowMissing(Conflict):
    """MLflow's client is not installed."""

    code = "mlflow_missing"

    def __init__(self) -> None:
        super().__init__(
            "`noria.autolog()` is MLflow's autologging, and MLflow is not installed",
            hint="pip install mlflow-skinny",
        )


def autolog(
    *, experiment: str | None = None, workspace: Workspace | None = None, **options: Any
) -> Autologging:
    """Have MLflow log what scikit-learn, PyTorch, XGBoost and others fit, as runs of this workspace.

    MLflow's client must be installed (`pip install mlflow-skinny`), and the workspace must have a server: none is
    started. Runs that it makes while a Noria run is active are inside that run. From now on MLflow's own calls go to
    this workspace, too; the object that is given back undoes all of it, by `stop()` or at the end of a `with` block.

    Parameters
    ----------
    experiment
        Where runs go; the active run's, else `Default`.
    workspace
        The current one when left out.
    **options
        Of `mlflow.autolog`, such as `log_models=False`.

    Raises
    ------
    MlflowMissing
        If MLflow is not installed.
    Unavailable
        If the workspace is a folder without a running server.
    """
    mlflow = _mlflow()
    place = workspace or current_workspace()
    url, secret = _server_of(place)
    current = active.get()
    group = experiment or (current.experiment if current else DEFAULT_EXPERIMENT)
    name = group if place.project == DEFAULT_PROJECT else f"{place.project}/{group}"
    started = Autologging(mlflow, url, {_TOKEN: secret, _EXPERIMENT: name, _EXPERIMENT_ID: None})
    try:
        mlflow.autolog(**options)
    except BaseException:
        started.stop()
        raise
    return started


class Autologging:
    """MLflow's client turned to a workspace, until `stop()`.

    Parameters
    ----------
    mlflow
        The module.
    url
        Address of the server.
    environment
        Variables to set, or to remove where the value is None.
    """

    def __init__(self, mlflow: Any, url: str, environment: Mapping[str, str | None]) -> None:
        self.url = url
        self._mlflow = mlflow
        self._provider = _parent_provider()
        self._before = {name: os.environ.get(name) for name in environment}
        self._uri_before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
        self._stopped = False
        _set(environment)
        mlflow.set_tracking_uri(url)

    def stop(self) -> None:
        """Switch autologging off, and turn MLflow's client back to where it was. A second call does nothing."""
        if self._stopped:
            return
        self._stopped = True
        self._provider.is_on = False
        self._mlflow.autolog(disable=True, silent=True)
        self._mlflow.set_tracking_uri(self._uri_before)
        _set(self._before)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _mlflow() -> Any:
    try:
        return importlib.import_module("mlflow")
    except ImportError as error:
        raise MlflowMissing from error


def _server_of(workspace: Workspace) -> tuple[str, str | None]:
    settings = workspace.settings
    if settings.is_remote:
        return settings.workspace, settings.token
    from noria.core.control.lock import read_server_info

    server = read_server_info(settings.folder)
    if server is None:
        raise Unavailable(
            f"The workspace `{settings.folder}` has no server, and MLflow's client needs one",
            hint=f"noria server --workspace {settings.folder}",
        )
    return server.url, settings.token or read_key(settings.folder)


def _parent_provider() -> Any:
    """Have MLflow mark runs that it starts as inside the active Noria run."""
    registry = importlib.import_module("mlflow.tracking.context.registry")
    base: Any = importlib.import_module("mlflow.tracking.context.abstract_context").RunContextProvider

    class InsideActiveRun(base):  # type: ignore[misc]
        """Tells MLflow the parent of a run."""

        is_on = True

        def in_context(self) -> bool:
            return self.is_on and active.get() is not None

        def tags(self) -> dict[str, str]:
            current = active.get()
            return {} if current is None else {_PARENT_TAG: current.id}

    registry._run_context_provider_registry.register(InsideActiveRun)
    provider: Any = list(registry._run_context_provider_registry)[-1]
    return provider


def _set(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

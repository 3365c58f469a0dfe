"""Noria: the closed MLOps loop in one package.

Names are imported when they are first used, so that `import noria` takes milliseconds::

    import noria

    data = noria.dataset("digits@1").arrays()
    with noria.run(experiment="digits") as run:
        run.log({"accuracy": 0.97})
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from noria._version import __version__

if TYPE_CHECKING:
    from noria.access.client import events
    from noria.catalog.client import choose, record
    from noria.core.config import Settings, load_settings
    from noria.core.errors import Invalid, NoriaError, Unavailable
    from noria.core.workspace import Workspace, current_workspace, open_workspace, use_workspace
    from noria.data.client import dataset
    from noria.decisions.client import announce
    from noria.pipelines.authoring import pipeline, step
    from noria.pipelines.codecs import register_codec
    from noria.pipelines.entities import Resources
    from noria.pipelines.forms import Codec
    from noria.pipelines.shell import shell_step
    from noria.pipelines.values import register_fingerprint
    from noria.registry.client import model, register
    from noria.registry.python_model import PythonModel
    from noria.registry.validation.own import check
    from noria.serving.batch.client import predict
    from noria.serving.client import deploy, endpoint
    from noria.tracking.autolog import autolog
    from noria.tracking.client import Capture, read_table, run
    from noria.tracking.current import active_run, log

_HOMES = {
    "Capture": "noria.tracking.client",
    "Codec": "noria.pipelines.forms",
    "Invalid": "noria.core.errors",
    "NoriaError": "noria.core.errors",
    "PythonModel": "noria.registry.python_model",
    "Resources": "noria.pipelines.entities",
    "Settings": "noria.core.config",
    "Workspace": "noria.core.workspace",
    "Unavailable": "noria.core.errors",
    "active_run": "noria.tracking.current",
    "announce": "noria.decisions.client",
    "autolog": "noria.tracking.autolog",
    "check": "noria.registry.validation.own",
    "choose": "noria.catalog.client",
    "current_workspace": "noria.core.workspace",
    "dataset": "noria.data.client",
    "deploy": "noria.serving.client",
    "endpoint": "noria.serving.client",
    "events": "noria.access.client",
    "load_settings": "noria.core.config",
    "log": "noria.tracking.current",
    "model": "noria.registry.client",
    "open_workspace": "noria.core.workspace",
    "pipeline": "noria.pipelines.authoring",
    "predict": "noria.serving.batch.client",
    "read_table": "noria.tracking.client",
    "record": "noria.catalog.client",
    "register": "noria.registry.client",
    "register_codec": "noria.pipelines.codecs",
    "register_fingerprint": "noria.pipelines.values",
    "run": "noria.tracking.client",
    "shell_step": "noria.pipelines.shell",
    "step": "noria.pipelines.authoring",
    "use_workspace": "noria.core.workspace",
}

__all__ = [
    "Capture",
    "Codec",
    "Invalid",
    "NoriaError",
    "PythonModel",
    "Resources",
    "Settings",
    "Unavailable",
    "Workspace",
    "__version__",
    "active_run",
    "announce",
    "autolog",
    "check",
    "choose",
    "current_workspace",
    "dataset",
    "deploy",
    "endpoint",
    "events",
    "load_settings",
    "log",
    "model",
    "open_workspace",
    "pipeline",
    "predict",
    "read_table",
    "record",
    "register",
    "register_codec",
    "register_fingerprint",
    "run",
    "shell_step",
    "step",
    "use_workspace",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `noria` has no attribute `{name}`")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

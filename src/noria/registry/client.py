"""Register, fetch and load models from Python; the same on a folder and on a server."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noria.core import lineage
from noria.core.author import local_author
from noria.core.errors import Invalid, NoriaError
from noria.core.names import check_name
from noria.core.objects.checkouts import checkout
from noria.core.objects.trees import put_tree
from noria.core.serialisation import to_json
from noria.core.workspace import Workspace, current_workspace
from noria.pipelines.outputs import settle
from noria.registry.entities import (
    AliasTarget,
    Holdout,
    ModelVersion,
    NewModelVersion,
    Origin,
    ServableVersion,
    Signature,
    Task,
)
from noria.registry.environment import keep_environment
from noria.registry.rules import check_metrics, files_of, servable
from noria.registry.service import Models
from noria.tracking.client import active_run

if TYPE_CHECKING:
    from noria.registry.golden import GoldenBatch
    from noria.registry.runtimes.port import KeptModel, LoadedModel

_GOLDEN_SEED = 7  # any: rows are chosen the same way each time, so that equal models give equal digests


class Registered:
    """A registered version, loaded to predict with.

    Made by `noria.model()`.
    """

    def __init__(self, version: ServableVersion, loaded: LoadedModel) -> None:
        self.version = version
        self._loaded = loaded

    def predict(self, x: Any) -> Any:
        """Predict rows, checked against the signature.

        Parameters
        ----------
        x
            An array, a mapping of names to arrays, or a Polars frame.

        Returns
        -------
        ndarray, shape (n_rows,)
        """
        from noria.registry.signatures import check_inputs

        return self._loaded.predict(check_inputs(self.version.signature, as_inputs(x)))["predictions"]


def register(
    estimator: Any,
    name: str,
    *,
    x: Any,
    y: Any,
    holdout: tuple[Any, Any] | None = None,
    metrics: Mapping[str, float] | None = None,
    dataset: str | None = None,
    alias: str | None = None,
    message: str = "",
    workspace: Workspace | None = None,
) -> ServableVersion:
    """Register a fitted model as the next version of a registered one.

    Kept beside it: its signature, samples of the training and held-out rows, a profile of the former, a golden batch
    (raw inputs with their features and predictions), its answers to the held-out rows and its score on them, what is
    installed, and the active pipeline run that it can be made again from; with the extra `noria[onnx]` also its form in
    ONNX, if that is proven equal.

    Parameters
    ----------
    estimator
        A fitted estimator of scikit-learn, LightGBM or XGBoost, a booster of the latter two, a network of PyTorch, a
        graph in ONNX, or a model of a class of your own (`noria.PythonModel`); or the step output that is one, as holds
        for the rows too.
    name
        Registered model; made at first use.
    x
        Raw training inputs: an array of shape (n_rows, ...), a mapping of names to arrays, or a Polars frame.
    y
        Training target, shape (n_rows,).
    holdout
        Inputs and target that the estimator was not fitted on: what its live quality is compared with.
    metrics
        Figures to show with the version.
    dataset
        Reference of the data set that it was trained on; inside a run, the one that the run read.
    alias
        Alias to point at the new version.

    Raises
    ------
    UntrustedTypes
        If the estimator holds types that could not be loaded safely.
    Invalid
        If rows do not match or the estimator does not predict them.

    Examples
    --------
    >>> import noria, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> folder = tempfile.TemporaryDirectory()
    >>> ws = noria.open_workspace(noria.load_settings(workspace=folder.name))
    >>> x, y = load_iris(return_X_y=True)
    >>> fitted = LogisticRegression(max_iter=1000).fit(x[::2], y[::2])
    >>> version = noria.register(fitted, "iris", x=x[::2], y=y[::2], holdout=(x[1::2], y[1::2]), workspace=ws)
    >>> version.ref, version.task.value, version.holdout.n
    ('iris@1', 'classification', 75)
    >>> int(noria.model("iris", workspace=ws).predict(x[:1])[0])
    0
    >>> ws.close(); folder.cleanup()
    """
    ws = workspace or current_workspace()
    check_name("model", name)
    check_metrics(dict(metrics or {}))
    with tempfile.TemporaryDirectory(prefix="noria-register-") as draft:
        described = _describe(settle(estimator), Path(draft), as_inputs(x), y, holdout)
        tree = put_tree(ws.objects(), Path(draft))
    origin = _origin(dataset, keep_environment(ws))
    new = NewModelVersion(
        digest=tree.digest,
        metrics={**_measured(described.holdout), **(metrics or {})},
        origin=origin,
        message=message,
        author=local_author(),
        format=described.format,
        task=described.task,
        signature=described.signature,
        classes=described.classes,
        holdout=described.holdout,
    )
    models = ws.service(Models)
    version = models.register(ws.project, name, new)
    lineage.record_output(f"model:{version.ref}", tree.digest)
    if alias is not None:
        version = models.set_alias(ws.project, name, alias, AliasTarget(version=version.version))
    return servable(version)


def model(ref: str, *, workspace: Workspace | None = None) -> Registered:
    """Load a registered version to predict with.

    Parameters
    ----------
    ref
        `digits` (the newest version), `digits@3` or `digits@champion`.

    Raises
    ------
    NotServable
        If it lacks files, format, signature or task.
    ConsentMissing
        If its files are pickles that nobody has consented to load.
    """
    from noria.registry.runtimes.port import load_model

    ws = workspace or current_workspace()
    version = servable(ws.service(Models).resolve(ws.project, ref))
    lineage.record_input(f"model:{version.ref}", version.digest)
    if ref != version.ref:
        lineage.record_followed(f"model:{ref}", f"model:{version.ref}")
    return Registered(version, load_model(fetch_version(ws, version), version))


def fetch_version(workspace: Workspace, version: ModelVersion, *, cache: Path | None = None) -> Path:
    """Give a folder with the files of a version, every byte checked against the version's digest.

    Files that are there already are checked again: what was verified is what is loaded.

    Parameters
    ----------
    cache
        Folder that holds fetched versions; one of this user's cache folder when left out.
    """
    root = cache or _cache_folder()
    digest = files_of(version)
    target = root / hashlib.sha256(digest.encode()).hexdigest()[:40]
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    checkout(workspace.objects(version.project), digest, target, overwrite=True)
    return target


def as_inputs(x: Any) -> dict[str, Any]:
    """Give inputs as arrays by name: an array is the input `x`, a frame or mapping has its columns."""
    import numpy as np

    x = settle(x)
    if isinstance(x, Mapping):
        return {str(name): np.asarray(value) for name, value in x.items()}
    if hasattr(x, "columns") and hasattr(x, "to_numpy"):
        return {str(name): _column(x[name]) for name in x.columns}
    return {"x": np.asarray(x)}


class _Described(NewModelVersion, frozen=True, kw_only=True):
    """What is known of an estimator before its files are stored."""


def _describe(
    estimator: Any, folder: Path, inputs: dict[str, Any], y: Any, holdout: tuple[Any, Any] | None
) -> _Described:
    import numpy as np

    from noria.registry import golden
    from noria.registry.signatures import check_inputs, infer_signature, task_of

    target = np.asarray(y)
    _check_rows(inputs, target)
    loaded = _saved(estimator, folder, inputs)
    task = loaded.task or task_of(target)
    rows = golden.choose_rows(len(target), golden.GOLDEN_ROWS, _GOLDEN_SEED)
    batch = _golden_batch(loaded, {name: array[rows] for name, array in inputs.items()})
    signature = infer_signature(inputs, batch.outputs)
    golden.save_golden(batch, folder)
    _prove(loaded, signature, inputs, folder)
    _save_reference(folder, inputs, target)
    measured: Holdout | None = None
    if holdout is not None:
        held = check_inputs(signature, as_inputs(holdout[0]))
        held_target = np.asarray(holdout[1])
        measured = golden.measure_holdout(loaded, task, held, held_target)
        held_out = golden.take_sample(held, held_target, _GOLDEN_SEED)
        golden.save_reference(held_out, folder / golden.HELD_OUT_FILE)
        golden.save_answers(loaded.predict(held_out.inputs), folder)
    return _Described(
        digest="",
        format=loaded.format,
        task=task,
        signature=signature,
        classes=_classes(loaded, target) if task is Task.CLASSIFICATION else None,
        holdout=measured,
    )


def _golden_batch(loaded: KeptModel, inputs: dict[str, Any]) -> GoldenBatch:
    from noria.registry import golden

    try:
        return golden.make_golden(loaded, inputs)
    except NoriaError:
        raise
    except Exception as error:
        # All of them: every library, and every class of a project, has errors of its own.
        raise Invalid(
            f"The `{loaded.kind}` does not predict the rows of `x`: {error}",
            hint="Give the inputs in the form that it was fitted on",
        ) from error


def _classes(loaded: KeptModel, target: Any) -> list[Any]:
    import numpy as np

    # The columns of the probabilities stand in the model's own order.
    return list(np.unique(target).tolist()) if loaded.classes is None else loaded.classes


def _saved(model: Any, folder: Path, inputs: dict[str, Any]) -> KeptModel:
    from noria.registry.runtimes.port import REQUIREMENTS_FILE, keeper_of
    from noria.registry.runtimes.requirements import pinned
    from noria.registry.signatures import infer_signature

    # The one that was written is described, not the one in memory: what is served later is what was measured.
    kept = keeper_of(model).save(model, folder, infer_signature(inputs, {}).inputs)
    lines = pinned(kept.distributions)
    (folder / REQUIREMENTS_FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return kept


def _prove(loaded: KeptModel, signature: Signature, inputs: dict[str, Any], folder: Path) -> None:
    from noria.registry.runtimes import onnx_conversion
    from noria.registry.runtimes.port import Convertible, Provable

    if isinstance(loaded, Convertible):
        if onnx_conversion.can_convert(loaded):
            onnx_conversion.put_beside(loaded, signature, inputs, folder)
    elif isinstance(loaded, Provable):
        loaded.prove(signature, inputs, folder)


def _save_reference(folder: Path, inputs: dict[str, Any], target: Any) -> None:
    from noria.core.stats.columns import flatten_columns
    from noria.core.stats.profiles import profile_table
    from noria.registry import golden

    profile = profile_table(flatten_columns(inputs))
    (folder / golden.PROFILE_FILE).write_bytes(to_json(profile))
    sample = golden.take_sample(inputs, target, _GOLDEN_SEED)
    golden.save_reference(sample, folder / golden.REFERENCE_FILE)


def _check_rows(inputs: dict[str, Any], target: Any) -> None:
    if not inputs:
        raise Invalid("`x` has no columns", hint="Give the training inputs")
    for name, array in inputs.items():
        if array.ndim == 0 or len(array) != len(target):
            rows = len(array) if array.ndim else "no"
            raise Invalid(f"The input `{name}` has {rows} rows and `y` has {len(target)}")
    if not len(target):
        raise Invalid("`x` and `y` have no rows", hint="Give the rows that the estimator was fitted on")


def _origin(dataset: str | None, environment: str | None) -> Origin:
    active = lineage.origin.get()
    read = dataset or lineage.last_dataset()
    if active is None:
        run = active_run()
        return Origin(run_id=run.id if run else None, dataset=read, environment=environment)
    return Origin(
        run_id=active.run_id,
        pipeline=active.pipeline,
        params=active.params,
        dataset=read,
        snapshot=active.snapshot,
        environment=environment,
    )


def _measured(holdout: Holdout | None) -> dict[str, float]:
    return {} if holdout is None else {f"holdout_{holdout.metric}": holdout.value}


def _column(column: Any) -> Any:
    array = column.to_numpy()
    return array.astype(str) if array.dtype.kind == "O" else array


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "noria" / "models"

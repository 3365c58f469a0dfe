"""Folders in MLflow's format: write a version as one, and register a version from one. MLflow is not needed."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Final

import msgspec

from noria.core.author import local_author
from noria.core.errors import Invalid, TooLarge
from noria.core.objects.trees import put_tree
from noria.core.workspace import Workspace
from noria.registry.client import fetch_version
from noria.registry.entities import (
    ModelVersion,
    NewModelVersion,
    ServableVersion,
    Signature,
    Task,
    TensorSpec,
)
from noria.registry.rules import MLFLOW_FORMAT, servable
from noria.registry.runtimes.mlflow_format import (
    FILE,
    LIMIT_BYTES,
    ONNX,
    SKLEARN,
    SKOPS,
    MlmodelFacts,
    read_mlmodel,
)
from noria.registry.runtimes.port import REQUIREMENTS_FILE
from noria.registry.service import Models

_DTYPES: Final = {
    "FP64": "float64",
    "FP32": "float32",
    "INT64": "int64",
    "INT32": "int32",
    "BOOL": "bool",
    "BYTES": "str",
}
_COLUMNS: Final = {
    "FP64": "double",
    "FP32": "float",
    "INT64": "long",
    "INT32": "integer",
    "BOOL": "boolean",
    "BYTES": "string",
}

Sections = dict[str, dict[str, Any]]


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What an `MLmodel` file that Noria wrote says besides: what the version was."""

    task: Task
    signature: Signature
    classes: list[int | float | str | bool] | None = None


def export_version(workspace: Workspace, ref: str, folder: Path) -> ServableVersion:
    """Write a version as a folder that `mlflow.pyfunc.load_model` loads.

    Parameters
    ----------
    folder
        Is made; it must not hold anything yet.

    Raises
    ------
    Invalid
        If the folder holds something, or the version has no form in MLflow's format.
    """
    version = servable(workspace.service(Models).resolve(workspace.project, ref))
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Invalid(f"`{folder}` holds something already", hint="Name a folder that is not there yet")
    write = _WRITERS.get(version.format)
    if write is None:
        known = ", ".join(f"`{name}`" for name in _WRITERS)
        raise Invalid(
            f"`{version.ref}` has the format `{version.format}`, which has no form in MLflow's",
            hint=f"Known: {known}",
        )
    source = fetch_version(workspace, version)
    folder.mkdir(parents=True, exist_ok=True)
    sections = write(source, folder, version)
    if sections:
        _write_mlmodel(folder, sections, version)
        if (source / REQUIREMENTS_FILE).is_file():
            shutil.copyfile(source / REQUIREMENTS_FILE, folder / REQUIREMENTS_FILE)
    return version


def import_folder(workspace: Workspace, folder: Path, name: str, *, message: str = "") -> ModelVersion:
    """Register a folder that MLflow saved a model to.

    Raises
    ------
    Invalid
        If it has no `MLmodel` file that can be read, or that file has no signature with arrays.
    """
    facts = _read(folder)
    described = _described_by(folder)
    signature = described.signature if described else facts.signature
    task = described.task if described else facts.task
    if signature is None or task is None:
        lacks = "signature" if signature is None else "task: its outputs are not one column"
        raise Invalid(
            f"`{folder}` has no {lacks}",
            hint="Save it with `signature=infer_signature(x, model.predict(x))` of columns or arrays",
        )
    new = NewModelVersion(
        digest=put_tree(workspace.objects(), folder).digest,
        format=MLFLOW_FORMAT,
        task=task,
        signature=signature,
        classes=described.classes if described else None,
        message=message,
        author=local_author(),
    )
    return workspace.service(Models).register(workspace.project, name, new)


def _read(folder: Path) -> MlmodelFacts:
    path = folder / FILE
    if not path.is_file():
        raise Invalid(
            f"`{folder}` has no file `{FILE}`", hint="Name the folder that MLflow saved the model to"
        )
    if path.stat().st_size > LIMIT_BYTES:
        raise TooLarge(f"`{path}` is larger than {LIMIT_BYTES >> 20} MB, which no such file is")
    names = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    facts = read_mlmodel(path.read_bytes(), names)
    if facts is None:
        raise Invalid(f"`{path}` names no model in MLflow's format")
    return facts


def _described_by(folder: Path) -> Described | None:
    import yaml

    content = yaml.safe_load((folder / FILE).read_bytes())
    said = (content.get("metadata") or {}).get("noria") if isinstance(content.get("metadata"), dict) else None
    try:
        return None if said is None else msgspec.convert(said, Described)
    except msgspec.ValidationError:
        return None


def _write_mlmodel(folder: Path, sections: Sections, version: ServableVersion) -> None:
    import yaml

    flavor = next(iter(sections))
    function = {
        "loader_module": f"mlflow.{flavor}",
        "python_version": platform.python_version(),
        **sections.pop("function", {}),
    }
    described = Described(task=version.task, signature=version.signature, classes=version.classes)
    content = {
        "flavors": {"python_function": function, **sections},
        "metadata": {"noria": msgspec.to_builtins(described)},
        "signature": {
            "inputs": json.dumps(_schema(version.signature.inputs)),
            "outputs": json.dumps(_schema([_answered(version, flavor)])),
        },
    }
    (folder / FILE).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _answered(version: ServableVersion, flavor: str) -> TensorSpec:
    """Give what MLflow's own loader answers with: boosters of LightGBM give scores, everything else predictions."""
    first, *rest = version.signature.outputs
    shown = first
    if flavor == "lightgbm" and rest:
        shown = rest[0] if rest[0].shape[-1] > 2 else TensorSpec(name=first.name, datatype="FP64", shape=[-1])
    return TensorSpec(name="x", datatype=shown.datatype, shape=shown.shape)


def _schema(specs: list[TensorSpec]) -> list[dict[str, Any]]:
    if all(len(spec.shape) == 1 for spec in specs) and specs[0].name != "x":
        return [
            {"type": _COLUMNS[spec.datatype], "name": spec.name, "required": not spec.nullable}
            for spec in specs
        ]
    named = len(specs) > 1 or specs[0].name != "x"
    return [
        {
            "type": "tensor",
            "tensor-spec": {"dtype": _DTYPES[spec.datatype], "shape": spec.shape},
            **({"name": spec.name} if named else {}),
        }
        for spec in specs
    ]


def _write_sklearn(source: Path, folder: Path, _: ServableVersion) -> Sections:
    from noria.registry.runtimes.sklearn import FILE as SAVED
    from noria.registry.runtimes.sklearn import trusted_types

    shutil.copyfile(source / SAVED, folder / "model.skops")
    section = {
        "code": None,
        "pickled_model": "model.skops",
        "serialization_format": SKOPS,
        "skops_trusted_types": sorted(trusted_types(folder / "model.skops")),
        "sklearn_version": installed("scikit-learn"),
    }
    return {SKLEARN: section, "function": {"model_path": "model.skops", "predict_fn": "predict"}}


def _write_lightgbm(source: Path, folder: Path, _: ServableVersion) -> Sections:
    from noria.registry.runtimes.lightgbm import FILE as SAVED

    shutil.copyfile(source / SAVED, folder / "model.lgb")
    section = {"code": None, "data": "model.lgb", "model_class": "lightgbm.basic.Booster"}
    return {
        "lightgbm": {**section, **_versions("lgb_version", "lightgbm")},
        "function": {"data": "model.lgb"},
    }


def _write_xgboost(source: Path, folder: Path, version: ServableVersion) -> Sections:
    from noria.registry.runtimes.xgboost import FILE as SAVED

    shutil.copyfile(source / SAVED, folder / "model.ubj")
    # Its classifier answers with numbers of classes, where the booster gives their probabilities.
    kind = "xgboost.core.Booster" if version.classes is None else "xgboost.sklearn.XGBClassifier"
    section = {"code": None, "data": "model.ubj", "model_class": kind, "model_format": "ubj"}
    return {
        "xgboost": {**section, **_versions("xgb_version", "xgboost", "xgboost-cpu")},
        "function": {"data": "model.ubj"},
    }


def _write_onnx(source: Path, folder: Path, _: ServableVersion) -> Sections:
    from noria.registry.runtimes.onnx import FILE as SAVED

    shutil.copyfile(source / SAVED, folder / "model.onnx")
    section = {"code": None, "data": "model.onnx", "providers": ["CPUExecutionProvider"]}
    return {ONNX: {**section, **_versions("onnx_version", "onnx")}, "function": {"data": "model.onnx"}}


def _copy(source: Path, folder: Path, _: ServableVersion) -> Sections:
    shutil.copytree(source, folder, dirs_exist_ok=True)
    return {}


_WRITERS: Final[dict[str, Callable[[Path, Path, ServableVersion], Sections]]] = {
    "lightgbm": _write_lightgbm,
    MLFLOW_FORMAT: _copy,
    "onnx": _write_onnx,
    "sklearn-skops": _write_sklearn,
    "xgboost": _write_xgboost,
}


def _versions(key: str, *distributions: str) -> dict[str, str]:
    for name in distributions:
        try:
            return {key: installed(name)}
        except PackageNotFoundError:
            continue
    return {}

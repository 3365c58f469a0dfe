"""Send the golden batch through the live path. Worker only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from noria.core.errors import NoriaError, Unavailable
from noria.core.gate import is_loopback
from noria.core.key import read_key
from noria.core.trust import trust_for
from noria.core.workspace import Workspace
from noria.decisions.case import Case
from noria.decisions.stages.finding import Finding
from noria.decisions.stages.replay import replay
from noria.registry.client import fetch_version
from noria.registry.equality import TOLERANCE
from noria.registry.golden import GoldenBatch, compare_golden, load_golden
from noria.serving.modelserver.protocol import tensor_of

_TIMEOUT_S = 30.0


def replay_golden(case: Case) -> Finding:
    """Replay the golden batch of the version in trouble at the address where clients ask."""
    batch = load_golden(fetch_version(case.workspace, case.version))
    if batch is None:
        return replay(None, why_not="The version was registered without a golden batch")
    if not case.endpoint.urls:
        return replay(None, why_not="No model server answers for the endpoint, so nothing could be replayed")
    try:
        answer = _ask(case, case.endpoint.urls[0], batch)
    except NoriaError as error:
        return replay(None, why_not=f"The golden batch could not be replayed: {error.message}")
    features = answer.pop("features", np.empty((0, 0)))
    scale = _largest(batch.outputs["predictions"])
    difference = compare_golden(batch, features, answer, tolerance=TOLERANCE * max(scale, 1.0))
    return replay(difference, feature_scale=_largest(batch.features))


def _ask(case: Case, url: str, batch: GoldenBatch) -> dict[str, NDArray[Any]]:
    """Ask one version by its number. An address has the project in it unless it is the server's own."""
    import httpx

    body = {
        "inputs": [tensor_of(name, np.asarray(array)) for name, array in batch.inputs.items()],
        "parameters": {"replay": True},
    }
    name = case.endpoint.name
    with httpx.Client(
        base_url=url,
        headers={"authorization": f"Bearer {_secret(case.workspace)}"},
        timeout=_TIMEOUT_S,
        verify=trust_for(url),
        trust_env=not is_loopback(httpx.URL(url).host),
    ) as client:
        for address in (name, f"{case.endpoint.project}:{name}"):
            path = f"/v2/models/{address}/versions/{case.version.version}/infer"
            try:
                answer = client.post(path, json=body)
            except httpx.HTTPError as error:
                raise Unavailable(f"the model server at `{url}` does not answer ({error})") from error
            if answer.status_code != httpx.codes.NOT_FOUND:
                break
    if answer.is_error:
        raise Unavailable(f"the model server answered {answer.status_code}: {answer.text[:200]}")
    return {tensor["name"]: _array(tensor) for tensor in answer.json()["outputs"]}


def _secret(workspace: Workspace) -> str:
    settings = workspace.settings
    return settings.token or ("" if settings.is_remote else read_key(settings.folder) or "")


def _array(tensor: dict[str, Any]) -> NDArray[Any]:
    text = tensor["datatype"] == "BYTES"
    array = np.array(
        tensor["data"], dtype=str if text else float if tensor["datatype"].startswith("FP") else None
    )
    return array.reshape(tensor["shape"])


def _largest(values: Any) -> float:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.size == 0:
        return 1.0
    return float(np.nanmax(np.abs(array.astype(float))))

"""The bill of materials of a package: CycloneDX 1.6 with the model card of its ML profile."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from noria._version import __version__
from noria.core.serialisation import to_json
from noria.registry.entities import TensorSpec
from noria.registry.packages.entities import Made
from noria.registry.packages.pylock import Lock, Locked

if TYPE_CHECKING:
    from noria.registry.entities import ServableVersion

_SPEC: Final = "1.6"
_NAMESPACE: Final = uuid.UUID(
    "9b0c3f52-7d0e-4b0e-8c63-4a1f3e5f7a10"
)  # any: numbers of bills are derived in it


def make_bill(version: ServableVersion, made: Made, digest: str, lock: Lock, *, at: datetime) -> bytes:
    """List the model, what it was trained on, and what must be installed to load it.

    Parameters
    ----------
    digest
        Of the package's manifest.
    """
    dataset = made.origin.dataset
    libraries = [_library(each) for each in lock.distributions]
    data = [{"bom-ref": f"data:{dataset}", "type": "data", "name": dataset}] if dataset else []
    model = f"model:{made.model}@{made.version}"
    return to_json(
        {
            "bomFormat": "CycloneDX",
            "specVersion": _SPEC,
            "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{digest} {at.isoformat()}')}",
            "version": 1,
            "metadata": {
                "timestamp": at.isoformat(),
                "tools": {"components": [{"type": "application", "name": "noria", "version": __version__}]},
                "component": {
                    "bom-ref": model,
                    "type": "machine-learning-model",
                    "name": made.model,
                    "version": str(made.version),
                    "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
                    "modelCard": _card(version, made),
                },
                "properties": [
                    {"name": "noria:lock", "value": lock.incomplete or "complete"},
                    {"name": "noria:format", "value": version.format},
                    {"name": "noria:files", "value": version.digest},
                ],
            },
            "components": [*data, *libraries],
            "dependencies": [
                {"ref": model, "dependsOn": [each["bom-ref"] for each in (*data, *libraries)]},
            ],
        }
    )


def _card(version: ServableVersion, made: Made) -> dict[str, Any]:
    dataset = made.origin.dataset
    return {
        "bom-ref": f"card:{made.model}@{made.version}",
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": version.task.value,
            **({"datasets": [{"ref": f"data:{dataset}"}]} if dataset else {}),
            "inputs": [{"format": _format(spec)} for spec in version.signature.inputs],
            "outputs": [{"format": _format(spec)} for spec in version.signature.outputs],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [
                {"type": name, "value": repr(value)} for name, value in sorted(made.metrics.items())
            ]
        },
    }


def _format(spec: TensorSpec) -> str:
    return f"{spec.name}: {spec.datatype} {spec.shape}"


def _library(each: Locked) -> dict[str, Any]:
    reference = f"pkg:pypi/{each.name}@{each.version}"
    hashes = [{"alg": "SHA-256", "content": file.sha256} for file in each.files]
    return {
        "bom-ref": reference,
        "type": "library",
        "name": each.name,
        "version": each.version,
        "purl": reference,
        **({"hashes": hashes} if hashes else {}),
    }

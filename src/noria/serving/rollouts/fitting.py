"""Whether a version can stand behind an endpoint whose clients know another one."""

from __future__ import annotations

from noria.core.errors import Conflict
from noria.registry.entities import ServableVersion, Signature, TensorSpec
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.serving.locate import EndpointRow


class SignatureDiffers(Conflict):
    """The version takes or gives something else than the version that the endpoint's clients know."""

    code = "signature_differs"

    def __init__(self, endpoint: str, version: ServableVersion, differences: list[str]) -> None:
        super().__init__(
            f"`{version.model}@{version.version}` does not fit the clients of the endpoint `{endpoint}`: "
            + "; ".join(differences),
            hint="Deploy it to an endpoint of its own: `--to NAME`",
            details={"differences": differences},
        )


def check_fits(models: Models, project: str, endpoint: EndpointRow, version: ServableVersion) -> None:
    """Refuse a version of another model, or one that takes or gives something else than the one that answers.

    Raises
    ------
    Conflict
        If it is another model's.
    SignatureDiffers
        If clients would notice.
    """
    # The endpoint knows the model by the name that it had when it was first deployed.
    if version.model not in (endpoint.model, models.get(project, endpoint.model).name):
        raise Conflict(
            f"The endpoint `{endpoint.name}` serves the model `{endpoint.model}`, not `{version.model}`",
            hint="Deploy to an endpoint of its own: `--to NAME`",
        )
    serving = max(endpoint.shares, key=lambda share: share.weight).version
    if serving == version.version:
        return
    known = servable(models.version(project, endpoint.model, serving))
    differences = signature_differences(known.signature, version.signature)
    if known.task != version.task:
        differences.insert(0, f"it is for {version.task}, not {known.task}")
    if differences:
        raise SignatureDiffers(endpoint.name, version, differences)


def signature_differences(known: Signature, new: Signature) -> list[str]:
    """Say how a signature differs from the one that clients know, one sentence each.

    What is sent must be the same in name, datatype and shape. What comes back must be the same in name and datatype;
    its sizes may differ, since a classifier that learned a new class gives one more probability.
    """
    return [
        *_tensor_differences("input", known.inputs, new.inputs, sizes=True),
        *_tensor_differences("output", known.outputs, new.outputs, sizes=False),
    ]


def _tensor_differences(
    kind: str, known: list[TensorSpec], new: list[TensorSpec], *, sizes: bool
) -> list[str]:
    before = {tensor.name: tensor for tensor in known}
    after = {tensor.name: tensor for tensor in new}
    found = [f"it lacks the {kind} `{name}`" for name in before if name not in after]
    found += [f"it has the further {kind} `{name}`" for name in after if name not in before]
    for name in [name for name in before if name in after]:
        was, now = before[name], after[name]
        if was.datatype != now.datatype:
            found.append(f"the {kind} `{name}` is {now.datatype}, not {was.datatype}")
        if len(was.shape) != len(now.shape) or (sizes and list(was.shape) != list(now.shape)):
            found.append(f"the {kind} `{name}` has the shape {list(now.shape)}, not {list(was.shape)}")
    return found

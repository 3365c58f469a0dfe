"""Deploy from Python, and ask endpoints; the same on a folder and on a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

import msgspec

from noria.core.errors import ErrorBody, Invalid, Unavailable, error_from_body
from noria.core.gate import is_loopback
from noria.core.ids import new_id
from noria.core.key import read_key
from noria.core.names import split_ref
from noria.core.serialisation import from_json, to_json
from noria.core.trust import trust_for
from noria.core.workspace import Workspace, current_workspace
from noria.serving.entities import Approvals, Deployment, Rollout, RolloutStep, Strategy
from noria.serving.gate_rules import Gates
from noria.serving.service import Endpoints

if TYPE_CHECKING:
    import httpx
    from numpy.typing import NDArray

RETRY_S = 30.0
"""For so long a request is sent again when the connection breaks: a killed model server is back within seconds."""

_TIMEOUT_S = 30.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an endpoint answered.

    Attributes
    ----------
    prediction_ids
        One for each row: what labels are given by.
    predictions
        Shape (n_rows,).
    probabilities
        Shape (n_rows, n_classes); None when the model has none.
    version
        Which version of the model answered.
    outputs
        All outputs by name.
    """

    prediction_ids: list[str]
    predictions: NDArray[Any]
    probabilities: NDArray[Any] | None
    version: int
    outputs: Mapping[str, NDArray[Any]] = field(repr=False)


class FeedbackReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of labels.

    Attributes
    ----------
    accepted
        How many are new.
    unknown, duplicate, conflicting, mistyped, capped
        Prediction ids by what is the matter with their label.
    corrected
        How many took the place of another value.
    queued
        How many wait at the model server until the control server is back.
    """

    accepted: int = 0
    unknown: list[str] = []
    duplicate: list[str] = []
    conflicting: list[str] = []
    mistyped: list[str] = []
    capped: list[str] = []
    corrected: int = 0
    queued: int = 0


def deploy(
    ref: str,
    *,
    endpoint: str | None = None,
    strategy: Strategy | str = Strategy.REPLACE,
    steps: list[RolloutStep] | None = None,
    gates: Gates | None = None,
    patience_s: float | None = None,
    promote: bool | None = None,
    approvals: Approvals | None = None,
    keep_warm_s: float | None = None,
    alias: str | None = None,
    reason: str | None = None,
    workspace: Workspace | None = None,
) -> Rollout:
    """Put a model version behind an endpoint.

    Parameters
    ----------
    ref
        `digits@2`, `digits@champion`, or `digits` for the newest version.
    endpoint
        Made if there is none; named as the model when left out.
    strategy
        `replace` at once; `canary`, `blue-green`, `shadow` or `ab` step by step under the control loop of a running
        server.
    steps, gates, patience_s, keep_warm_s
        From `[rollouts]` in `noria.toml` when left out.
    promote
        True lets a `shadow` that passes its gates take the place of the old version.
    approvals
        Who has to agree before it begins or switches.
    alias
        Alias that moves to the version when it is promoted.
    """
    ws = workspace or current_workspace()
    model, selector = split_ref(ref)
    plan = Deployment(
        model=model,
        version=selector or "latest",
        strategy=strategy_of(strategy),
        steps=steps,
        gates=gates,
        patience_s=patience_s,
        promote=promote,
        approvals=approvals,
        keep_warm_s=keep_warm_s,
        alias=alias,
        reason=reason,
    )
    return ws.service(Endpoints).deploy(ws.project, endpoint or model, plan)


def endpoint(name: str, *, url: str | None = None, workspace: Workspace | None = None) -> EndpointClient:
    """Give a client of an endpoint.

    Parameters
    ----------
    url
        Of the model server; where the endpoint answered lately when left out.
    """
    return EndpointClient(name, url=url, workspace=workspace)


class EndpointClient:
    """Asks an endpoint for predictions and gives it labels, over one connection that is kept.

    A request that was broken off is sent again under the same id, so that it is captured once and, while the shares
    do not change, answered by the same version. Thread-safe.
    """

    def __init__(self, name: str, *, url: str | None = None, workspace: Workspace | None = None) -> None:
        import httpx

        self.name = name
        self._workspace = workspace or current_workspace()
        self._given_url = url
        self._url: str | None = url
        self._http = httpx.Client(
            timeout=_TIMEOUT_S,
            verify=trust_for(url),
            trust_env=not _is_near(url),
            headers=self._credentials(),
        )

    def predict(
        self,
        x: Any,
        *,
        key: str | None = None,
        version: int | None = None,
        request_id: str | None = None,
        replay: bool = False,
    ) -> Answer:
        """Predict rows.

        Parameters
        ----------
        x
            An array of shape (n_rows, ...), a mapping of names to arrays, or a Polars frame.
        key
            Requests of one key get one version: of one user, say.
        version
            Ask this version, whatever the shares.
        request_id
            32 hex digits, as `noria.core.ids.new_id` makes them; made anew when left out.
        replay
            Keep the rows out of the capture and answer their `features` too. Needs the workspace key.

        Raises
        ------
        InputInvalid
            If the rows do not fit the model; `details` names the input.
        Failed
            If the model raised.
        Unavailable
            If no model server answers in time.
        """
        body = _infer_body(x, request_id or new_id(), key, replay=replay)
        part = "" if version is None else f"/versions/{version}"
        name = quote(f"{self._workspace.project}:{self.name}", safe=":")
        return _read_answer(self._post(f"/v2/models/{name}{part}/infer", body).content)

    def feedback(
        self, labels: Mapping[str, Any], *, source: str | None = None, corrects: bool = False
    ) -> FeedbackReport:
        """Tell the true values of predictions, by their ids.

        Parameters
        ----------
        source
            Where they come from; `[labels]` of the server says which are not trusted.
        corrects
            Whether they take the place of labels that stand.

        Raises
        ------
        PredictionNotFound, Conflict, Invalid
            If none of them could be kept.
        """
        further: dict[str, Any] = {"source": source} if source else {}
        further |= {"corrects": True} if corrects else {}
        given = [
            {"prediction_id": identity, "value": _plain(value), **further}
            for identity, value in labels.items()
        ]
        body = to_json({"labels": given, "endpoint": f"{self._workspace.project}:{self.name}"})
        return from_json(self._post("/feedback", body).content, FeedbackReport, what="answer")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _post(self, path: str, body: bytes) -> httpx.Response:
        import httpx

        clock = self._workspace.clock
        deadline = clock.monotonic() + RETRY_S
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._send(path, body)
            except (httpx.TransportError, Unavailable) as error:
                if clock.monotonic() + pause_s > deadline:
                    raise _unavailable(self.name, self._url, error) from error
            self._url = self._given_url
            clock.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _send(self, path: str, body: bytes) -> httpx.Response:
        url = self._url or self._look_up()
        self._url = url
        response = self._http.post(url + path, content=body, headers={"content-type": "application/json"})
        if response.is_success:
            return response
        raise error_from_body(_error_body(response))

    def _look_up(self) -> str:
        found = self._workspace.service(Endpoints).get(self._workspace.project, self.name)
        if not found.urls:
            raise Unavailable(
                f"No model server answers for the endpoint `{self.name}`",
                hint="Start one with `noria up` or `noria serve`",
            )
        return found.urls[0]

    def _credentials(self) -> dict[str, str]:
        settings = self._workspace.settings
        secret = settings.token if settings.is_remote else settings.token or read_key(settings.folder)
        return {"authorization": f"Bearer {secret}"} if secret else {}


def _infer_body(x: Any, request_id: str, key: str | None, *, replay: bool) -> bytes:
    from noria.registry.client import as_inputs
    from noria.serving.modelserver.protocol import tensor_of

    parameters: dict[str, Any] = {} if key is None else {"key": key}
    if replay:
        parameters["replay"] = True
    inputs = [tensor_of(name, array) for name, array in as_inputs(x).items()]
    return to_json({"id": request_id, "parameters": parameters, "inputs": inputs})


def _read_answer(content: bytes) -> Answer:
    from noria.serving.modelserver.protocol import array_of

    answer = msgspec.json.decode(content)
    outputs = {output["name"]: array_of(output) for output in answer["outputs"]}
    return Answer(
        prediction_ids=answer["parameters"]["prediction_ids"],
        predictions=outputs["predictions"],
        probabilities=outputs.get("probabilities"),
        version=int(answer["model_version"]),
        outputs=outputs,
    )


def _error_body(response: httpx.Response) -> ErrorBody:
    try:
        return msgspec.json.decode(response.content, type=ErrorBody)
    except msgspec.DecodeError:
        return ErrorBody(
            code="unavailable",
            message=f"`{response.url}` answered {response.status_code}, but not as a model server of Noria does",
        )


def _unavailable(name: str, url: str | None, error: Exception) -> Unavailable:
    if isinstance(error, Unavailable):
        return error
    return Unavailable(
        f"The endpoint `{name}` did not answer at `{url}` for {RETRY_S:g} s: {error}",
        hint="Is the model server running? Start it with `noria up` or `noria serve`",
    )


def _is_near(url: str | None) -> bool:
    # A proxy from the environment stands between machines, never before our own.
    return url is None or is_loopback(urlsplit(url).hostname or "")


def _plain(value: Any) -> Any:
    """Give the Python value of a NumPy scalar."""
    return value.item() if hasattr(value, "item") else value


def strategy_of(name: Strategy | str) -> Strategy:
    """Read the name of a strategy.

    Raises
    ------
    Invalid
        If there is none of that name.
    """
    try:
        return Strategy(name)
    except ValueError:
        listed = ", ".join(f"`{known.value}`" for known in Strategy)
        raise Invalid(f"`{name}` is not a strategy", hint=f"Choose {listed}") from None

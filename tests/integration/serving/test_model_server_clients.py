"""The model server asked by other people's clients, and in ways that nobody should ask."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import time
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from noria.core.errors import Failed
from noria.core.http_errors import TooManyRequests
from noria.registry.client import model
from noria.serving.modelserver import lanes
from noria.serving.modelserver.lanes import Lane
from support.model_server import LiveModelServer

ROWS = np.random.default_rng(5).integers(0, 5, (6, 4)).astype(float)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_gets_what_it_asks_for(live: LiveModelServer, binary: bool) -> None:
    """Health, metadata and predictions through the client of NVIDIA's server, as JSON and as bytes."""
    expected = model("flowers@1", workspace=live.workspace).predict(ROWS)
    client = triton.InferenceServerClient(live.url.removeprefix("http://"))
    try:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("flowers", "1")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert client.get_model_metadata("flowers")["inputs"][0]["datatype"] == "FP64"
        given_ = triton.InferInput("x", list(ROWS.shape), "FP64")
        given_.set_data_from_numpy(ROWS, binary_data=binary)
        wanted = [
            triton.InferRequestedOutput(name, binary_data=binary) for name in ("predictions", "probabilities")
        ]
        found = client.infer("flowers", [given_], outputs=wanted, request_id="7")
    finally:
        client.close()

    assert found.get_response()["id"] == "7"
    assert found.as_numpy("predictions").tolist() == expected.tolist()
    assert found.as_numpy("probabilities").shape == (6, 2)


def test_rows_can_be_asked_for_in_other_forms(live: LiveModelServer) -> None:
    """MLflow's forms, CSV and plain rows at the endpoint's own addresses, with the id in a header."""
    expected = model("flowers@1", workspace=live.workspace).predict(ROWS).tolist()
    columns = ["a", "b", "c", "d"]
    lines = "\n".join([",".join(columns), *(",".join(map(str, row)) for row in ROWS.tolist())])
    split = {"dataframe_split": {"columns": columns, "data": ROWS.tolist()}}
    place = "/endpoints/flowers"

    answers = [
        live.http.post(f"{place}/invocations", json=split),
        live.http.post(f"{place}/invocations", json={"inputs": {"x": ROWS.tolist()}}),
        live.http.post(f"{place}/invocations", content=lines, headers={"Content-Type": "text/csv"}),
        live.http.post(f"{place}/predict", json={"rows": ROWS.tolist()}),
    ]

    assert [answer.json()["predictions"] for answer in answers] == [expected] * 4
    for answer in answers:
        assert len(answer.headers["noria-prediction-id"]) == 32
        assert answer.headers["noria-model-version"] == "1"
    # Two endpoints are served, so that an address without a name says nothing.
    assert live.http.post("/invocations", json=split).status_code == 404
    assert live.http.post(f"{place}/predict", json=[[1, 2]]).json()["details"]["field"] == "x"


def test_what_the_openapi_description_allows_is_answered(live: LiveModelServer) -> None:
    """No request that it describes is a fault of the server, and answers have the described form."""
    import schemathesis  # a second, which every process that collects tests would spend
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.result import Err
    from schemathesis.specs.openapi.checks import response_schema_conformance

    schema = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
    # The other endpoint's addresses are the same.
    for result in schema.exclude(path_regex="picky").get_all_operations():
        assert not isinstance(result, Err), result
        operation = result.ok()

        @settings(
            max_examples=5,
            phases=[Phase.explicit, Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            case.call_and_validate(checks=[not_a_server_error, response_schema_conformance])

        ask()
    assert live.infer().status_code == 200


@settings(
    max_examples=25,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    path=st.sampled_from(
        ["/v2/models/flowers/infer", "/endpoints/flowers/invocations", "/endpoints/flowers/predict"]
    ),
    body=st.binary(max_size=300)
    | st.just(b"[" * 50_000)
    | st.just(b'{"rows":' + b'{"a":' * 3000 + b"}" * 3001),
    headers=st.fixed_dictionaries(
        {"Content-Type": st.sampled_from(["application/json", "application/octet-stream", "text/csv"])},
        optional={
            "Inference-Header-Content-Length": st.sampled_from(["0", "5", "999999999999", "-1", "x", "²"]),
            "Content-Encoding": st.sampled_from(["gzip", "identity"]),
        },
    ),
)
def test_no_bytes_are_a_fault_of_the_server(
    live: LiveModelServer, path: str, body: bytes, headers: dict[str, str]
) -> None:
    """Whatever comes is refused by a status that says so."""
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    answer = live.http.post(path, content=body, headers=encoded)

    assert answer.status_code in (400, 413, 415, 422), answer.text
    assert json.loads(answer.content)["error"]


def test_broken_connections_hurt_nobody(live: LiveModelServer) -> None:
    """Half a request, no request and pieces without an end: the next client is answered."""
    port = int(live.url.rpartition(":")[2])
    start = b"POST /v2/models/flowers/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    pieces = [
        start,
        start + b"Content-Length: 100\r\n\r\n{",
        start + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"inp\r\n',
        b"\x00\xff" * 50,
    ]
    for content in pieces:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(content)
    assert live.infer().status_code == 200


@pytest.mark.parametrize(("n_bytes", "goes_on"), [(10, True), (10 << 20, False)])
def test_a_refused_body_does_not_cost_the_next_request(
    live: LiveModelServer, n_bytes: int, goes_on: bool
) -> None:
    """After a refusal whose body comes late a connection goes on; with a large body it ends, and the answer says so."""
    port = int(live.url.rpartition(":")[2])
    head = (
        "POST /endpoints/flowers/predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {n_bytes}\r\n\r\n"
    )
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sock.sendall(head.encode())
        time.sleep(0.1)  # In which the server reads the headers, and has decided.
        connection.sock.sendall(b"x" * min(n_bytes, 1000))
        refused = http.client.HTTPResponse(connection.sock)
        refused.begin()
        refused.read()

        assert refused.status == 415
        assert refused.will_close is not goes_on
        if goes_on:
            connection.request("GET", "/v2/health/live")
            assert connection.getresponse().status == 200


class _Slow:
    """A model that takes as long for many rows as for one, and fails on negative numbers."""

    engine = "native"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def predict(self, inputs: Any) -> dict[str, Any]:
        self.sizes.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise Failed("negative")
        return {"predictions": inputs["x"][:, 0] * 2}

    def features(self, inputs: Any) -> Any:
        return inputs["x"]


def _arrays(value: float) -> dict[str, Any]:
    return {"x": np.full((1, 2), value)}


async def _ask_together(lane: Lane, values: list[float]) -> list[Any]:
    # No threads: what comes while the first request is at work waits, whatever the machine is at.
    loop = asyncio.get_running_loop()
    return await asyncio.gather(
        *(lane.predict(_arrays(value), 1, None) for value in values),  # type: ignore[arg-type]
        loop.run_in_executor(None, int),
        return_exceptions=True,
    )


def test_requests_that_come_together_share_a_call_and_no_failure() -> None:
    """Each gets its own rows; one that fails fails alone."""
    slow = _Slow()
    lane = Lane(slow)
    lane.batches = True

    *found, _ = asyncio.run(_ask_together(lane, [1, 2, 3, 4]))
    assert [each["predictions"].tolist() for each in found] == [[2], [4], [6], [8]]
    assert slow.sizes == [1, 3]

    *found, _ = asyncio.run(_ask_together(lane, [1, 2, -3, 4]))
    assert isinstance(found[2], Failed)
    assert [each["predictions"].tolist() for each in (found[0], found[1], found[3])] == [[2], [4], [8]]


def test_what_would_wait_too_long_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """429 with when to come again, and the others are answered."""
    monkeypatch.setattr(lanes, "MAX_WAITING", 10)
    lane = Lane(_Slow())
    lane.batches = True

    *found, _ = asyncio.run(_ask_together(lane, [1.0] * 15))

    refused = [each for each in found if isinstance(each, TooManyRequests)]
    assert len(refused) == 5
    assert all(each.details["retry_after_s"] >= 1 for each in refused)

"""The model server over HTTP: the protocol, what it refuses, and what it keeps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from noria.core.ids import new_id
from noria.core.key import read_key
from noria.registry.client import model
from noria.serving.captures import PredictionNotFound
from noria.serving.client import deploy, endpoint
from noria.serving.keys import CaptureShare, NewKey
from noria.serving.modelserver.app import MAX_BODY_BYTES
from noria.serving.modelserver.protocol import MAX_ROWS
from noria.serving.service import Captures, EndpointKeys
from support.model_server import LiveModelServer, row_input
from support.processes import Processes
from support.waiting import wait_until

ROW = [[1.0, 2.0, 3.0, 4.0]]


def test_health_and_metadata_are_as_the_protocol_says(live: LiveModelServer) -> None:
    """Clients of the protocol find what they look for."""
    assert live.http.get("/v2/health/live").json() == {"live": True}
    assert live.http.get("/v2/health/ready").json() == {"ready": True}
    assert live.http.get("/v2").json()["name"] == "noria"
    assert live.http.get("/v2/models/flowers/ready").json() == {"name": "flowers", "ready": True}
    metadata = live.http.get("/v2/models/flowers").json()
    assert metadata["versions"] == ["1"]
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 4]}]
    assert [output["name"] for output in metadata["outputs"]] == ["predictions", "probabilities"]
    assert live.http.get("/v2/models/flowers/versions/1").json() == metadata


def test_an_answer_is_the_models_own(live: LiveModelServer) -> None:
    """Flat or nested, one row or many: the same figures as the model gives in this process."""
    rows = np.random.default_rng(3).integers(0, 5, (7, 4)).astype(float)
    expected = model("flowers@1", workspace=live.workspace).predict(rows)
    flat = row_input(rows.tolist())
    nested = {**flat, "data": rows.tolist()}

    for tensor in (flat, nested):
        answer = live.infer(inputs=[tensor])
        body = answer.json()
        assert body["outputs"][0] == {
            "name": "predictions",
            "datatype": "INT64",
            "shape": [7],
            "data": expected.tolist(),
        }
        assert (body["model_name"], body["model_version"]) == ("flowers", "1")
        assert answer.headers["noria-model-version"] == "1"
        assert body["parameters"]["prediction_ids"] == [f"{body['id']}-{row}" for row in range(7)]


def test_only_the_outputs_that_were_asked_for_come_back(live: LiveModelServer) -> None:
    """A client that wants classes does not pay for probabilities."""
    answer = live.infer(outputs=[{"name": "predictions"}]).json()

    assert [output["name"] for output in answer["outputs"]] == ["predictions"]
    assert live.infer(outputs=[{"name": "prediction"}]).json()["hint"] == "Did you mean `predictions`?"


def test_a_request_keeps_the_id_that_the_client_gave(live: LiveModelServer) -> None:
    """An id of ours becomes the prediction's; any other is echoed, and the prediction has its own."""
    own, foreign = new_id(), "1"

    first = live.infer(id=own).json()
    second = live.infer(id=foreign).json()

    assert (first["id"], first["parameters"]["prediction_ids"]) == (own, [own])
    assert second["id"] == foreign
    assert second["parameters"]["prediction_ids"] != [foreign]


X = row_input(ROW)


@pytest.mark.parametrize(
    ("inputs", "field", "words"),
    [
        ([], "x", "is missing"),
        ([X, {**X, "name": "y"}], "y", "no input `y`"),
        ([X, X], "x", "is given twice"),
        ([{**X, "datatype": "BYTES", "data": ["a", "b", "c", "d"]}], "x", "holds text"),
        ([{**X, "datatype": "BF16"}], "x", "has the datatype `BF16`"),
        ([{**X, "data": ["1", "2", "3", "4"]}], "x", "is not FP64"),
        ([{**X, "data": [1, 2, 3]}], "x", "3 values"),
        ([{**X, "data": [[1, 2], [3, 4]]}], "x", "the shape [2, 2]"),
        ([{**X, "data": [[1, 2, 3], [4]]}], "x", "rows differ in length"),
        ([{**X, "data": [None, 2, 3, 4]}], "x", "missing (NaN)"),
        ([{**X, "data": {"a": 1}}], "x", "is not FP64"),
        ([{**X, "shape": [1, 5], "data": [1, 2, 3, 4, 5]}], "x", "the shape [1, 5]"),
        ([{**X, "shape": [4], "data": [1, 2, 3, 4]}], "x", "the shape [4]"),
        ([{**X, "shape": [-1, -4]}], "x", "the shape [-1, -4]"),
        ([{**X, "shape": []}], "x", "the shape []"),
        ([{**X, "shape": [0, 4], "data": []}], "x", "0 rows"),
        ([{**X, "datatype": "INT64", "data": [10**30, 2, 3, 4]}], "x", "does not fit INT64"),
        ([{**X, "datatype": "INT64", "data": [1.5, 2, 3, 4]}], "x", "is not INT64"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(
    live: LiveModelServer, inputs: list[dict[str, Any]], field: str, words: str
) -> None:
    """Missing, extra, mistyped, not finite, of a wrong shape: 400 with the field."""
    answer = live.infer(inputs=inputs)
    body = answer.json()

    assert answer.status_code == 400, body
    assert body["details"]["field"] == field
    assert words in f"{body['message']} {body['hint']}"
    assert body["error"] == body["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"inputs": 1}',
        b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [NaN, 1, 2, 3]}]}',
        b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": [1e999, 1, 2, 3]}]}',
        b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ' + b"[" * 100_000,
        b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": '
        + b"[" * 3000
        + b"]" * 3000
        + b"}]}",
        b'{"inputs": [{"name": "x", "shape": [1, 99999999999999999999], "datatype": "FP64", "data": []}]}',
        b'{"inputs": [{"name": "\\ud800", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]}]}',
        b'{"inputs": [], "id": "' + b"x" * 1000 + b'"}',
        b'{"inputs": [], "parameters": {"replay": "yes"}}',
        b'{"inputs": [], "parameters": {"key": 7}}',
        b"\xff\xfe",
    ],
)
def test_a_body_that_is_no_request_is_refused(live: LiveModelServer, content: bytes) -> None:
    """Whatever comes: never a fault of the server."""
    answer = live.http.post(
        "/v2/models/flowers/infer", content=content, headers={"content-type": "application/json"}
    )

    assert answer.status_code == 400, answer.text
    assert live.infer().status_code == 200


def test_a_request_that_is_too_large_is_refused(live: LiveModelServer) -> None:
    """By its announced length, by its body and by its rows."""
    many = {**X, "shape": [MAX_ROWS + 1, 4], "data": []}
    long = {"name": "x", "shape": [9000, 4], "datatype": "BYTES", "data": ["a" * 1000] * 36000}

    assert live.infer(inputs=[many]).status_code == 413
    assert live.infer(inputs=[{**long, "data": ["a" * 1000, *["b"] * 35999]}]).status_code == 413
    headers = {"content-type": "application/json"}
    body = b"x" * (MAX_BODY_BYTES + 1)
    assert live.http.post("/v2/models/flowers/infer", content=body, headers=headers).status_code == 413
    chunks = (b"x" * (1 << 20) for _ in range(17))
    assert live.http.post("/v2/models/flowers/infer", content=chunks, headers=headers).status_code == 413


def test_a_model_that_raises_is_told_and_captured(live: LiveModelServer) -> None:
    """The request was fine and the model was not: 422 with its words, and a row with the error."""
    answer = live.infer(endpoint="picky", inputs=[row_input([[99.0, 0.0, 0.0, 0.0]])])

    assert answer.status_code == 422
    assert "unknown categories" in answer.json()["message"]
    assert "the value `99.0` of `x[0]` in row 0" in answer.json()["message"]
    assert {"field": "x[0]", "row": 0, "value": 99.0}.items() <= answer.json()["details"].items()
    identity = answer.json()["details"]["prediction_id"]
    live.feedback({identity: 1}, endpoint="picky")
    row = live.workspace.service(Captures).get("default", "picky", identity)
    assert row.prediction.error is not None
    assert row.prediction.error.startswith("ValueError")


def test_unknown_addresses_say_what_there_is(live: LiveModelServer) -> None:
    """Near names, known versions, allowed methods."""
    answer = live.infer(endpoint="flower")
    assert (answer.status_code, answer.json()["hint"].partition("?")[0]) == (404, "Did you mean `flowers`")
    assert live.http.post("/v2/models/flowers/versions/9/infer", json={"inputs": [X]}).status_code == 404
    assert live.http.post("/v2/models/flowers/versions/x/infer", json={"inputs": [X]}).status_code == 404
    assert live.http.get("/v2/models/flowers/infer").status_code == 405
    assert live.http.post("/v2/nothing", json={}).status_code == 404
    assert live.http.get("/nothing").status_code == 404
    assert live.http.head("/v2").status_code == 200


def test_pages_of_other_sites_are_refused(live: LiveModelServer) -> None:
    """Loopback is not private: a foreign host name, a foreign origin and a form are turned away."""
    body = json.dumps({"inputs": [X]})
    kind = {"content-type": "application/json"}

    def post(**headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return live.http.post("/v2/models/flowers/infer", content=body, headers={**kind, **named}).status_code

    assert post() == 200
    assert post(host="evil.example") == 403
    assert post(origin="https://evil.example") == 403
    assert post(content_type="text/plain") == 415
    assert live.http.get("/v2", headers={"host": "evil.example"}).status_code == 403


def test_a_replay_needs_the_key_and_leaves_no_trace(live: LiveModelServer) -> None:
    """It shows what the last step sees, and is not captured."""
    refused = live.infer(parameters={"replay": True})
    wrong = live.infer(parameters={"replay": True}, headers={"authorization": "Bearer nonsense"})
    key = read_key(live.folder)
    shown = live.infer(parameters={"replay": True}, headers={"authorization": f"Bearer {key}"})

    assert (refused.status_code, wrong.status_code, shown.status_code) == (403, 403, 200)
    assert shown.json()["outputs"][-1]["name"] == "features"
    assert shown.json()["outputs"][-1]["shape"] == [1, 4]
    label = live.feedback({shown.json()["id"]: 1}, endpoint="flowers")
    assert label.status_code == 404


def test_what_was_answered_is_captured_before_its_label(live: LiveModelServer) -> None:
    """A label may follow at once: the predictions before it are handed on first."""
    answer = live.infer(inputs=[row_input([[0.0, 1.0, 2.0, 3.0], [4.0, 4.0, 4.0, 4.0]])]).json()
    first, second = answer["parameters"]["prediction_ids"]

    report = live.feedback({first: 0, second: 1}, endpoint="flowers")

    assert (report.status_code, report.json()["accepted"]) == (200, 2)
    row = live.workspace.service(Captures).get("default", "flowers", second)
    assert row.prediction.inputs == {"x": [4.0, 4.0, 4.0, 4.0]}
    assert row.prediction.outputs["predictions"] == answer["outputs"][0]["data"][1]
    assert row.prediction.outputs["probabilities"] == answer["outputs"][1]["data"][2:]
    assert (row.prediction.version, row.prediction.row, row.prediction.error) == (1, 1, None)
    assert row.label is not None
    assert row.label.value == 1


def test_labels_find_their_endpoint_by_themselves(live: LiveModelServer) -> None:
    """Whoever knows the prediction's id need not know more."""
    one = live.infer().json()["id"]
    other = live.infer(endpoint="picky").json()["id"]

    report = live.feedback({one: 1, other: 0, "nobody": 1}).json()

    assert (report["accepted"], report["unknown"]) == (2, ["nobody"])


@pytest.mark.parametrize(
    ("value", "status", "code"),
    [(1, 409, "conflict"), ("one", 409, "conflict"), (None, 400, "invalid"), ([1], 400, "invalid")],
)
def test_labels_that_cannot_be_kept_are_refused(
    live: LiveModelServer, value: Any, status: int, code: str
) -> None:
    """Contradictions and values of another kind, each with its own code."""
    identity = live.infer().json()["id"]
    live.feedback({identity: 0}, endpoint="flowers")

    answer = live.feedback({identity: value}, endpoint="flowers")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_bad_feedback_is_refused(live: LiveModelServer) -> None:
    """Unknown predictions, texts for numbers, unknown endpoints, nothing at all."""
    identity = live.infer().json()["id"]

    assert live.feedback({"nobody": 1}, endpoint="flowers").status_code == 404
    assert live.feedback({identity: "one"}, endpoint="flowers").status_code == 400
    assert live.feedback({identity: 1}, endpoint="flwers").status_code == 404
    assert live.feedback({}).status_code == 400
    assert live.feedback({identity: 1}, unknown_field=1).status_code == 400
    assert live.feedback({identity: 1}).json()["accepted"] == 1
    assert live.feedback({identity: 1}).json()["duplicate"] == [identity]


def test_the_client_asks_and_tells(live: LiveModelServer) -> None:
    """Arrays in, arrays out, and labels by id."""
    rows = np.array([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, 0.0]])

    with endpoint("flowers", url=live.url, workspace=live.workspace) as client:
        answer = client.predict(rows, key="somebody")
        report = client.feedback(dict(zip(answer.prediction_ids, [1, np.int64(0)], strict=True)))
        replayed = client.predict(rows, replay=True)
        direct = client.predict(rows, version=1)

    assert answer.version == direct.version == 1
    assert answer.predictions.tolist() == replayed.predictions.tolist()
    assert answer.probabilities is not None
    assert answer.probabilities.shape == (2, 2)
    assert replayed.outputs["features"].shape == (2, 4)
    assert report.accepted == 2


def test_the_client_finds_the_model_server_by_itself(live: LiveModelServer) -> None:
    """The endpoint tells where it answers."""
    with endpoint("flowers", workspace=live.workspace) as client:
        assert client.predict(np.ones((1, 4))).version == 1


def test_the_status_tells_what_waits(live: LiveModelServer) -> None:
    """Operators see what is served and whether anything was dropped."""
    status = live.http.get("/status").json()

    assert status["endpoints"]["flowers"] == {
        "revision": 1,
        "shares": {"1": 1.0},
        "loaded": [1],
        "cascade": None,
    }
    assert status["requests"]["n_dropped"] == 0


def test_a_slow_client_holds_nobody_up(live: LiveModelServer) -> None:
    """While one sends its body a byte at a time, others are answered."""

    def slowly() -> Any:
        yield b'{"inputs": ['
        assert live.infer().status_code == 200
        yield b"]}"

    with httpx.Client(base_url=live.url, trust_env=False) as other:
        answer = other.post(
            "/v2/models/flowers/infer", content=slowly(), headers={"content-type": "application/json"}
        )

    assert answer.status_code == 400


def test_a_port_in_use_is_named(
    live: LiveModelServer, processes: Processes, noria_command: tuple[str, ...], tmp_path: Path
) -> None:
    """A second server on the port is refused with the option that chooses another."""
    port = live.url.rpartition(":")[2]
    second = processes.start(
        [*noria_command, "serve", "--workspace", tmp_path, "--port", port], name="second"
    )

    assert second.wait() == 1
    assert f"Another program listens on port {port}" in second.output()
    assert "--port" in second.output()


def test_an_endpoint_asks_for_its_keys_and_holds_them_to_their_rates(live: LiveModelServer) -> None:
    """From the first key on it refuses who has none, a revoked one or another's; other endpoints do not."""
    deploy("flowers@1", endpoint="locked", workspace=live.workspace)
    wait_until(lambda: live.infer(endpoint="locked").status_code == 200, 60)
    service = live.workspace.service(EndpointKeys)
    slow = service.create("default", "locked", NewKey(name="batch", rate_per_s=0.001, burst=2))
    good = service.create("default", "locked", NewKey(name="shop"))
    wait_until(lambda: live.infer(endpoint="locked").status_code == 401, 60)

    def status(secret: str, endpoint: str = "locked") -> int:
        return live.infer(endpoint=endpoint, headers={"authorization": f"Bearer {secret}"}).status_code

    wait_until(lambda: status(good.secret) == 200, 60)
    assert [status(slow.secret) for _ in range(4)] == [200, 200, 429, 429]
    limited = live.infer(endpoint="locked", headers={"authorization": f"Bearer {slow.secret}"})
    assert int(limited.headers["retry-after"]) > 1
    assert status("noria_endpoint_made-up") == 401
    assert live.feedback({new_id(): 1}, endpoint="locked").status_code == 401
    assert live.feedback({new_id(): 1}).status_code == 401
    assert live.http.get("/v2/models/locked").status_code == 401
    assert live.infer().status_code == 200
    service.revoke("default", "locked", "shop")
    wait_until(lambda: status(good.secret) == 401, 60)


def test_a_share_is_captured_and_failures_always_are(live: LiveModelServer) -> None:
    """None of what is answered, and all of what fails; the rest is up to the hash of the id."""
    deploy("flowers@3", endpoint="sampled", workspace=live.workspace)
    wait_until(lambda: live.infer(endpoint="sampled").status_code == 200, 60)
    live.workspace.service(EndpointKeys).set_capture_share("default", "sampled", CaptureShare(share=0.0))
    captures = live.workspace.service(Captures)

    def is_captured(answer: httpx.Response) -> bool:
        body = answer.json()
        identity = body["id"] if "id" in body else body["details"]["prediction_id"]
        try:
            captures.get("default", "sampled", identity)
        except PredictionNotFound:
            return False
        return True

    def left_out() -> bool:
        """Ask, then let something fail behind it: once that is captured, all before it would be."""
        answered = live.infer(endpoint="sampled")
        failed = live.infer(endpoint="sampled", inputs=[row_input([[99.0, 0.0, 0.0, 0.0]])])
        assert (answered.status_code, failed.status_code) == (200, 422)
        wait_until(lambda: is_captured(failed), 60)
        return not is_captured(answered)

    wait_until(left_out, 60)


def test_prometheus_reads_what_was_answered(live: LiveModelServer) -> None:
    """Workers, captures and limits, in the text that its own parser takes."""
    live.infer()
    answer = live.http.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}

    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    requests = {
        sample.labels["version"]: sample.value
        for sample in families["noria_serving_requests"].samples
        if (sample.labels["project"], sample.labels["endpoint"]) == ("default", "flowers")
        and sample.labels["status"] == "200"
    }
    assert requests["1"] > 0
    assert families["noria_serving_workers"].samples[0].value == 1
    assert families["noria_serving_captures"].samples[0].value > 0
    assert families["noria_serving_captures_dropped"].samples[0].value == 0
    assert live.http.post("/metrics").status_code == 405

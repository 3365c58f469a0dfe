"""Artifacts on MLflow's wire: the proxied tree, lists by run and model, ranges, and paths that lead elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import httpx
import pytest

from noria.access.projects import NewProject, Projects
from noria.core.context import Context
from noria.core.permissions import Principal, Role
from noria.tracking.artifacts import Artifacts
from noria.tracking.entities import NewRun
from noria.tracking.experiment_entities import NewExperiment
from noria.tracking.logged_models import LoggedModels
from noria.tracking.model_entities import NewLoggedModel
from noria.tracking.service import Experiments, Runs
from support.live_server import KEY, LiveServer

TREE = "/api/2.0/mlflow-artifacts/artifacts"
API = "/api/2.0/mlflow"
BIG = bytes(range(256)) * 9000
BAD_PATHS = [
    "..",
    "../x",
    "a/../b",
    "%2e%2e/x",
    "%252e%252e/x",
    "a%2F..%2Fb",
    "/etc/passwd",
    "%2Fetc/passwd",
    "%252Fetc/passwd",
    "a\\b",
    "..\\b",
    "%5Cb",
    "%255Cb",
    "a\x00b",
    "a%00b",
    "a%2500b",
    "a\nb",
    "C:/x",
    "c%3A/x",
    "file:///etc/passwd",
    "a#b",
    "a%23b",
]


@pytest.fixture
def run(context: Context) -> str:
    """Give the id of a run in the experiment 0."""
    return context.service(Runs).create("default", NewRun()).id


@pytest.fixture
def model(context: Context) -> str:
    """Give the id of a logged model in the experiment 0."""
    new = NewLoggedModel(experiment="Default")
    return context.service(LoggedModels).create("default", new).id


def put(http: httpx.Client, path: str, data: bytes = b"x", **headers: str) -> httpx.Response:
    """Put a file into the tree."""
    return http.put(f"{TREE}/{path}", content=data, headers=headers)


def ask_exactly(mlflow_server: LiveServer, method: str, path: str) -> httpx.Response:
    """Send a request to just this path: other clients tidy `..` away."""
    host = urlsplit(mlflow_server.url)
    connection = HTTPConnection(host.hostname or "", host.port)
    body = b"x" if method == "PUT" else None
    connection.request(method, path, body=body, headers={"Authorization": f"Bearer {KEY}"})
    answer = connection.getresponse()
    try:
        return httpx.Response(answer.status, content=answer.read())
    finally:
        connection.close()


def listed(http: httpx.Client, path: str = "") -> list[dict[str, object]]:
    """List a folder of the tree."""
    answer = http.get(TREE, params={"path": path} if path else {})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json().get("files", [])
    return found


def assert_refused(answer: httpx.Response, status: int, code: str, message: str) -> None:
    """Hold an answer to an error in MLflow's form."""
    told = answer.json()
    assert (answer.status_code, told["error_code"]) == (status, code), answer.text
    assert message in told["message"]


@pytest.mark.parametrize("root", ["/api/2.0", "/ajax-api/2.0"])
def test_files_go_in_and_out(http: httpx.Client, root: str) -> None:
    """A file is put, listed by its folder, given back, and deleted, at both addresses."""
    tree = f"{root}/mlflow-artifacts/artifacts"
    done = http.put(f"{tree}/dir/b.txt", content=b"1", headers={"content-type": "text/plain"})
    http.put(f"{tree}/a.txt", content=b"0")

    assert (done.status_code, done.json()) == (200, {})
    assert http.get(f"{tree}/dir/b.txt").content == b"1"
    assert http.get(tree).json() == {
        "files": [{"path": "a.txt", "is_dir": False, "file_size": 1}, {"path": "dir", "is_dir": True}]
    }
    assert http.get(tree, params={"path": "dir"}).json()["files"][0]["path"] == "b.txt"
    assert http.get(tree, params={"path": "nothing"}).json() == {}
    assert http.get(tree, params={"path": "a.txt"}).json() == {}
    assert http.delete(f"{tree}/dir").json() == {}
    assert http.delete(f"{tree}/dir").json() == {}
    assert_refused(http.get(f"{tree}/dir/b.txt"), 404, "RESOURCE_DOES_NOT_EXIST", "No such artifact")


@pytest.mark.parametrize("data", [b"", b"x", BIG], ids=["empty", "one byte", "2 MB"])
def test_a_file_is_streamed_whole(http: httpx.Client, data: bytes) -> None:
    """Whatever its size, with a length told beforehand or in chunks; HEAD tells the length alone."""

    def chunks() -> Iterator[bytes]:
        for begin in range(0, len(data), 10_000):
            yield data[begin : begin + 10_000]

    put(http, "whole.bin", data)
    http.put(f"{TREE}/chunked.bin", content=chunks())

    for name in ("whole.bin", "chunked.bin"):
        answer = http.get(f"{TREE}/{name}")
        assert answer.content == data
        assert answer.headers["content-length"] == str(len(data))
        head = http.head(f"{TREE}/{name}")
        assert (head.content, head.headers["content-length"]) == (b"", str(len(data)))


def test_a_second_put_replaces_the_file(http: httpx.Client) -> None:
    """The last one to be put is given."""
    put(http, "a.txt", b"first")
    put(http, "a.txt", b"second")

    assert http.get(f"{TREE}/a.txt").text == "second"
    assert listed(http) == [{"path": "a.txt", "is_dir": False, "file_size": 6}]


@pytest.mark.parametrize(
    ("asked", "part", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-30", b"0123456789", "bytes 0-9/10"),
        ("bytes=8-99999999999999999999999", b"89", "bytes 8-9/10"),
        ("bytes=9-9", b"9", "bytes 9-9/10"),
    ],
)
@pytest.mark.alike
def test_a_range_is_given(http: httpx.Client, asked: str, part: bytes, told: str) -> None:
    """One range of bytes, from the start, from the end, or cut at the end."""
    put(http, "digits.txt", b"0123456789")
    answer = http.get(f"{TREE}/digits.txt", headers={"range": asked})

    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, part, told)
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_the_file_is_refused(http: httpx.Client, asked: str) -> None:
    """The answer tells how large the file is."""
    put(http, "digits.txt", b"0123456789")
    answer = http.get(f"{TREE}/digits.txt", headers={"range": asked})

    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */10")


@pytest.mark.parametrize(
    "asked", ["bytes=", "bytes=-", "bytes=5-2", "lines=0-1", "bytes=0-1,3-4", "nonsense"]
)
@pytest.mark.alike
def test_what_is_no_single_range_is_passed_over(http: httpx.Client, asked: str) -> None:
    """The whole file is given; so it is when the range is asked of another file than the one that is there."""
    put(http, "digits.txt", b"0123456789")

    assert http.get(f"{TREE}/digits.txt", headers={"range": asked}).content == b"0123456789"
    other = {"range": "bytes=0-3", "if-range": '"another"'}
    assert http.get(f"{TREE}/digits.txt", headers=other).status_code == 200


@pytest.mark.parametrize(
    ("name", "kind", "disposition"),
    [
        ("a.txt", "text/plain", "attachment; filename=a.txt"),
        ("b.pkl", "application/octet-stream", "attachment; filename=b.pkl"),
        ("c.png", "image/png", "attachment; filename=c.png"),
        ("d.pdf", "application/pdf", "attachment; filename=d.pdf"),
        ("MLmodel", "text/plain", "attachment; filename=MLmodel"),
        ("e.html", "text/html", "attachment; filename=e.html"),
        ("f g.py", "text/plain", 'attachment; filename="f g.py"'),
        ("dog+step+20.png", "image/png", "attachment; filename=dog+step+20.png"),
        ("é.json", "text/plain", "attachment; filename=e.json; filename*=UTF-8''%C3%A9.json"),
        ("日本.csv", "text/plain", "attachment; filename=.csv; filename*=UTF-8''%E6%97%A5%E6%9C%AC.csv"),
    ],
)
@pytest.mark.alike
def test_a_file_leaves_as_an_attachment(http: httpx.Client, name: str, kind: str, disposition: str) -> None:
    """Its type is guessed by its name, whatever it was put or asked for as; no browser shows it as a page of ours."""
    put(http, f"dir/{name}", b"<script>", **{"content-type": "text/html"})
    answer = http.get(f"{TREE}/dir/{name}", headers={"accept": "text/html"})

    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", BAD_PATHS)
@pytest.mark.alike
def test_paths_that_lead_elsewhere_are_refused(
    http: httpx.Client, mlflow_server: LiveServer, run: str, model: str, path: str
) -> None:
    """In an address, encoded once more or not, and in every query."""
    if "#" not in path and path.isprintable():
        for method in ("PUT", "GET", "DELETE"):
            answer = ask_exactly(mlflow_server, method, f"{TREE}/{path}")
            assert_refused(answer, 400, "INVALID_PARAMETER_VALUE", "Invalid path")
    for address, query in (
        (TREE, {"path": path}),
        (f"{API}/artifacts/list", {"run_id": run, "path": path}),
        ("/get-artifact", {"run_id": run, "path": path}),
        (f"{API}/logged-models/{model}/artifacts/directories", {"artifact_directory_path": path}),
        (
            f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files",
            {"artifact_file_path": path},
        ),
    ):
        assert_refused(http.get(address, params=query), 400, "INVALID_PARAMETER_VALUE", "Invalid path")
    upload = http.post(
        "/ajax-api/2.0/mlflow/upload-artifact", params={"run_uuid": run, "path": path}, content=b"x"
    )
    assert_refused(upload, 400, "INVALID_PARAMETER_VALUE", "Invalid path")


@pytest.mark.parametrize("path", ["a/./b.txt", "./a.txt"])
def test_paths_with_idle_parts_are_not_written(
    http: httpx.Client, mlflow_server: LiveServer, path: str
) -> None:
    """They would be another path than they say; a folder cannot be written either. A slash too many does not matter."""
    answer = ask_exactly(mlflow_server, "PUT", f"{TREE}/{path}")

    assert_refused(answer, 400, "INVALID_PARAMETER_VALUE", "Invalid artifact path")
    assert_refused(put(http, "dir/"), 400, "INVALID_PARAMETER_VALUE", "must include a filename")
    assert put(http, "dir//file.txt").status_code == 200
    assert http.get(f"{TREE}/dir/file.txt").status_code == 200


def test_files_and_folders_do_not_share_a_path(http: httpx.Client) -> None:
    """A conflict is told, and a folder is not given as a file."""
    put(http, "dir/file.txt")

    assert_refused(put(http, "dir"), 409, "RESOURCE_CONFLICT", "is a folder")
    assert_refused(put(http, "dir/file.txt/x"), 409, "RESOURCE_CONFLICT", "inside the file")
    assert_refused(
        http.get(f"{TREE}/dir"), 400, "INVALID_PARAMETER_VALUE", "refers to a directory, not a file: 'dir'"
    )


def test_the_tree_leads_to_the_shelf_of_a_run(http: httpx.Client, context: Context, run: str) -> None:
    """What a client puts at the run's location are the run's artifacts, and the reverse."""
    root = f"0/{run}/artifacts"
    put(http, f"{root}/plots/roc.png", b"png")
    context.service(Artifacts).put("default", [b"own"], of=f"run:{run}", path="own.txt")

    assert [each.path for each in context.service(Runs).artifacts("default", run).items] == [
        "own.txt",
        "plots/roc.png",
    ]
    assert http.get(f"{TREE}/{root}/own.txt").text == "own"
    answer = http.get(f"{API}/artifacts/list", params={"run_id": run})
    assert answer.json() == {
        "root_uri": f"mlflow-artifacts:/{root}",
        "files": [
            {"path": "own.txt", "is_dir": False, "file_size": 3},
            {"path": "plots", "is_dir": True},
        ],
    }
    inside = http.get("/ajax-api/2.0/mlflow/artifacts/list", params={"run_uuid": run, "path": "plots"})
    assert inside.json()["files"] == [{"path": "plots/roc.png", "is_dir": False, "file_size": 3}]
    got = http.get("/get-artifact", params={"run_uuid": run, "path": "plots/roc.png"})
    assert (got.content, got.headers["content-type"]) == (b"png", "image/png")
    assert listed(http) == [{"path": "0", "is_dir": True}]
    assert listed(http, "0") == [{"path": run, "is_dir": True}]
    assert listed(http, f"0/{run}") == [{"path": "artifacts", "is_dir": True}]
    assert http.delete(f"{TREE}/{root}").json() == {}
    assert context.service(Runs).artifacts("default", run).items == []


def test_the_tree_leads_to_the_shelf_of_a_model(http: httpx.Client, context: Context, model: str) -> None:
    """What a client puts at the model's location is the model's."""
    root = f"0/models/{model}/artifacts"
    put(http, f"{root}/MLmodel", b"flavors: {}")
    put(http, f"{root}/data/model.pkl", b"binary")
    answer = http.get(f"{API}/logged-models/{model}/artifacts/directories")

    assert answer.json() == {
        "root_uri": f"mlflow-artifacts:/{root}",
        "files": [
            {"path": "MLmodel", "is_dir": False, "file_size": 11},
            {"path": "data", "is_dir": True},
        ],
    }
    file = f"/ajax-api/2.0/mlflow/logged-models/{model}/artifacts/files"
    assert http.get(file, params={"artifact_file_path": "MLmodel"}).text == "flavors: {}"
    assert_refused(http.get(file), 400, "BAD_REQUEST", "artifact_file_path")
    missing = http.get(file, params={"artifact_file_path": "nothing"})
    assert_refused(missing, 404, "RESOURCE_DOES_NOT_EXIST", "No such artifact")
    assert listed(http, "0/models") == [{"path": model, "is_dir": True}]
    context.service(LoggedModels).delete("default", model)
    gone = http.get(f"{API}/logged-models/{model}/artifacts/directories")
    assert_refused(gone, 404, "RESOURCE_DOES_NOT_EXIST", f"Logged model with ID '{model}' not found.")


@pytest.mark.parametrize("path", ["0", "0/models", ""])
def test_the_artifacts_of_many_are_not_deleted_at_once(
    http: httpx.Client, run: str, model: str, path: str
) -> None:
    """A folder above those of runs and models stays, with all that is in it."""
    put(http, f"0/{run}/artifacts/a")
    put(http, f"0/models/{model}/artifacts/a")

    assert http.delete(f"{TREE}/{path}").status_code == 400
    assert http.get(f"{TREE}/0/{run}/artifacts/a").status_code == 200


def test_a_location_of_its_own_leads_to_the_same_shelf(http: httpx.Client, context: Context) -> None:
    """Runs of an experiment with another location behind this server are found there, and nowhere else."""
    new = NewExperiment(name="elsewhere", artifact_location="mlflow-artifacts:/team/place")
    context.service(Experiments).create("default", new)
    run = context.service(Runs).create("default", NewRun(experiment="elsewhere")).id
    put(http, f"team/place/{run}/artifacts/a.txt", b"in")
    put(http, f"1/{run}/artifacts/a.txt", b"out")

    assert http.get("/get-artifact", params={"run_id": run, "path": "a.txt"}).text == "in"
    assert http.get(f"{TREE}/1/{run}/artifacts/a.txt").text == "out"
    assert listed(http, "team/place") == [{"path": run, "is_dir": True}]
    told = http.get(f"{API}/artifacts/list", params={"run_id": run}).json()
    assert told["root_uri"] == f"mlflow-artifacts:/team/place/{run}/artifacts"


def test_artifacts_follow_the_project_of_their_experiment(
    mlflow_server: LiveServer, http: httpx.Client, context: Context
) -> None:
    """Somebody without a role in a project neither reads nor writes what lies under its experiments."""
    context.service(Projects).create(NewProject(name="bank"))
    context.service(Experiments).create("bank", NewExperiment(name="churn"))
    run = context.service(Runs).create("bank", NewRun(experiment="churn")).id
    path = f"1/{run}/artifacts/secret.txt"
    put(http, path, b"secret")
    put(http, "1/beside.txt", b"beside")
    scientist = Principal(name="ana", project_roles={"default": Role.SCIENTIST}, holds_key=True)
    viewer = Principal(name="bob", project_roles={"bank": Role.VIEWER}, holds_key=True)
    mlflow_server.tokens |= {"ana": scientist, "bob": viewer}
    ana, bob = ({"authorization": f"Bearer {name}"} for name in ("ana", "bob"))

    for address in (path, "1/beside.txt"):
        missing = http.get(f"{TREE}/{address}", headers=ana)
        assert_refused(missing, 404, "RESOURCE_DOES_NOT_EXIST", "No such artifact")
        assert http.get(f"{TREE}/{address}", headers=bob).status_code == 200
        refused = http.put(f"{TREE}/{address}", content=b"x", headers=bob)
        assert_refused(refused, 403, "PERMISSION_DENIED", "")
    hidden = http.get("/get-artifact", params={"run_id": run, "path": "secret.txt"}, headers=ana)
    assert_refused(hidden, 404, "RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found")
    assert http.get(TREE, headers=ana).json() == {}
    http.put(f"{TREE}/{path}", content=b"not it", headers=ana)
    assert http.get(f"{TREE}/{path}").text == "secret"


def test_the_page_uploads_small_files(http: httpx.Client, run: str) -> None:
    """With everything that can be missing named; a program may post bytes without a type."""
    address = "/ajax-api/2.0/mlflow/upload-artifact"
    for query, body, message in (
        ({}, b"", "Request must specify run_uuid."),
        ({"run_uuid": run}, b"", "Request must specify path."),
        ({"run_uuid": run, "path": ""}, b"", "Request must specify path."),
        ({"run_uuid": run, "path": "t.txt"}, b"", "Request must specify data."),
        ({"run_uuid": run, "path": "t.txt"}, b"x" * (10 * 1024 * 1024 + 1), "Max size is 10MB."),
    ):
        answer = http.post(address, params=query, content=body)
        assert_refused(answer, 400, "INVALID_PARAMETER_VALUE", message)
    # The page of MLflow 3.18 names the run by the second of these.
    for name, path in (("run_uuid", "sub/test.txt"), ("run_id", "sub/later.txt")):
        done = http.post(address, params={name: run, "path": path}, content=b"hello world")

        assert done.status_code == 200
        assert http.get("/get-artifact", params={"run_id": run, "path": path}).text == "hello world"


def test_the_files_of_a_registered_version_are_given(http: httpx.Client, model: str) -> None:
    """From where they were registered, and from the version's own copy once those have changed; nobody changes that."""
    put(http, f"0/models/{model}/artifacts/MLmodel", b"flavors: {python_function: {}}")
    put(http, f"0/models/{model}/artifacts/data/weights.bin", b"0123456789")
    http.post(f"{API}/registered-models/create", json={"name": "digits"})
    sent = {"name": "digits", "source": f"models:/{model}", "model_id": model}
    made = http.post(f"{API}/model-versions/create", json=sent)
    assert made.status_code == 200, made.text
    asked = {"name": "digits", "version": "1", "path": "data/weights.bin"}
    for slash in ("/", "//"):
        got = http.get(f"{http.base_url}{slash}model-versions/get-artifact", params=asked)
        assert got.content == b"0123456789", got.text
    put(http, f"0/models/{model}/artifacts/data/weights.bin", b"tampered")
    query = {"name": "digits", "version": "1"}
    uri = http.get(f"{API}/model-versions/get-download-uri", params=query).json()["artifact_uri"]
    copy = uri.removeprefix("mlflow-artifacts:/")

    assert copy.startswith("registry/")
    assert http.get("/model-versions/get-artifact", params=asked).content == b"0123456789"
    part = http.get(f"{TREE}/{copy}/data/weights.bin", headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert {"path": "data", "is_dir": True} in listed(http, copy)
    assert listed(http, f"{copy}/data") == [{"path": "weights.bin", "is_dir": False, "file_size": 10}]
    assert http.get(f"{TREE}/{copy}/data").status_code == 400
    assert http.get(f"{TREE}/{copy}/nothing").status_code == 404
    assert_refused(put(http, f"{copy}/data/weights.bin"), 403, "PERMISSION_DENIED", "never change")
    assert_refused(http.delete(f"{TREE}/{copy}"), 403, "PERMISSION_DENIED", "never change")
    assert http.get(f"{TREE}/registry/{'0' * 32}/x").status_code == 404
    for path, status in (("../x", 400), ("nothing", 404)):
        answer = http.get("/model-versions/get-artifact", params={**query, "path": path})
        assert answer.status_code == status
    unknown = http.get("/model-versions/get-artifact", params={"name": "no", "version": "1", "path": "x"})
    assert_refused(unknown, 404, "RESOURCE_DOES_NOT_EXIST", "not found")


def test_missing_parameters_are_named(http: httpx.Client, run: str) -> None:
    """No run, no path, or a run that is not there."""
    assert_refused(http.get("/get-artifact", params={"run_id": run}), 400, "BAD_REQUEST", "path")
    for run_id in ("", "nothing", "0" * 32):
        answer = http.get("/get-artifact", params={"run_id": run_id, "path": "x"})
        assert_refused(answer, 404, "RESOURCE_DOES_NOT_EXIST", "not found")
    listed_without = http.get(f"{API}/artifacts/list")
    assert_refused(listed_without, 400, "INVALID_PARAMETER_VALUE", "'run_id'")


def test_a_folder_has_no_uploads_past_the_server(http: httpx.Client, run: str) -> None:
    """Parts and signed addresses need a bucket; the client goes on without them when it is told so."""
    for action in ("create", "complete", "abort"):
        address = f"/api/2.0/mlflow-artifacts/mpu/{action}/0/{run}/artifacts"
        body = {"path": "/home/me/big.bin", "num_parts": 2, "upload_id": "x", "parts": [{"part_number": 1}]}
        message = "Multipart upload is not supported for the current artifact repository"
        assert_refused(http.post(address, json=body), 501, "NOT_IMPLEMENTED", message)
    presigned = http.get("/api/2.0/mlflow-artifacts/presigned/big.bin")
    assert_refused(presigned, 501, "NOT_IMPLEMENTED", "Multipart download is not supported")
    for kind in ("upload", "download"):
        answer = http.post(f"{API}/artifacts/presigned-{kind}-url", json={"run_id": run, "path": "x"})
        assert_refused(answer, 400, "INVALID_PARAMETER_VALUE", "proxied artifact storage")
    both = http.post(f"{API}/artifacts/presigned-upload-url", json={"path": "x"})
    assert_refused(both, 400, "INVALID_PARAMETER_VALUE", "Exactly one of run_id and model_id")
    long = {"run_id": run, "path": "x", "expiration": 604_801}
    answer = http.post(f"{API}/artifacts/presigned-download-url", json=long)
    assert_refused(answer, 400, "INVALID_PARAMETER_VALUE", "expiration must be between 1 and 604800 seconds")
    assert http.get("/api/3.0/mlflow/server-info").json()["multipart_uploads_enabled"] is False


def test_a_refused_upload_is_answered_although_it_is_being_sent(http: httpx.Client) -> None:
    """A client with some megabytes under way sees the error, not a broken connection."""
    answer = http.put(f"{TREE}/a%2F..%2Fb", content=b"x" * 5_000_000)

    assert json.loads(answer.text)["message"] == "Invalid path"

"""Images: what `noria image` describes is built and started by podman, as what `noria k8s` renders starts it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

import noria
from noria._version import __version__
from noria.cli.main import main
from peers.conftest import ENVIRONMENTS
from support.podman import PYTHON_IMAGE, ROOT, Podman, container_flags, podman
from support.waiting import wait_until

pytestmark = pytest.mark.timeout(3600)

TOKEN = "a-token-of-the-test-that-is-long-enough"
ASK = f"""
import json, urllib.request
rows = {{"inputs": [{{"name": "x", "shape": [2, 4], "datatype": "FP64", "data": ROWS}}]}}
request = urllib.request.Request(
    "http://127.0.0.1:8080/v2/models/iris/infer",
    data=json.dumps(rows).encode(),
    headers={{"authorization": "Bearer {TOKEN}", "content-type": "application/json"}},
)
print(urllib.request.urlopen(request).read().decode())
"""


BASE = f"noria-base:{__version__}"
TRAIN = """
import noria, polars
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
x, y = load_iris(return_X_y=True)
for seed in (0, 1):
    forest = RandomForestClassifier(n_estimators=5, random_state=seed).fit(x[::2], y[::2])
    noria.register(forest, "iris", x=x[::2], y=y[::2], holdout=(x[1::2], y[1::2]))
rows = polars.DataFrame(x, schema=["a", "b", "c", "d"]).with_row_index("id")
rows.write_parquet("/tmp/rows.parquet")
"""
PREPARE = """
set -eu
python=$(dirname "$(command -v noria)")/python
cd /tmp && "$python" train.py
noria models promote iris@1 champion && noria models promote iris@2 challenger
noria data append customers rows.parquet
"""


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    """Give podman with the base built, from wheels alone and without a network."""
    with podman(ENVIRONMENTS / "images") as found:
        for old in found.wheels.glob("noria-*.whl"):
            old.unlink()
        uv = [
            sys.executable,
            "-m",
            "uv",
            "build",
            "--quiet",
            "--wheel",
            f"--out-dir={found.wheels}",
            str(ROOT),
        ]
        subprocess.run(uv, check=True)
        (built,) = found.wheels.glob("noria-*.whl")
        found.download(f"{built}[fast,postgres,s3,tables]")
        folder = tmp_path_factory.mktemp("images") / "base"
        wheels = ("--wheels", str(found.wheels))
        assert main(["image", "base", "--out", str(folder), "--python", PYTHON_IMAGE, *wheels]) == 0
        build(found, folder, BASE)
        yield found


def build(containers: Podman, context: Path, tag: str, *, fails: bool = False) -> str:
    """Build an image without a network."""
    options = ("--isolation", "oci", "--network", "none", "--build-arg", "PIP_NO_INDEX=1")
    return containers.run("build", *options, "--layers", "-t", tag, context, fails=fails)


def test_a_model_is_built_into_an_image_that_answers_as_its_manifest_starts_it(
    containers: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verified in the build, a changed byte refused; layers shared; answering without rights on a read-only root."""
    monkeypatch.setenv("NORIA_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    x, y = load_iris(return_X_y=True)
    for seed in (0, 1):
        forest = RandomForestClassifier(n_estimators=10, random_state=seed).fit(x[::2], y[::2])
        noria.register(forest, "iris", x=x[::2], y=y[::2], holdout=(x[1::2], y[1::2]))
    if main(["image", "context", "iris@1", "--out", "one"]) != 0:
        pytest.skip("the lock of the package is incomplete: no index could be reached")
    containers.download("--no-deps", "--require-hashes", "-r", "one/requirements.txt")
    wheels = ("--wheels", str(containers.wheels))
    for version, folder in ((1, "one"), (2, "two")):
        assert main(["image", "context", f"iris@{version}", "--out", folder, *wheels]) == 0

    assert "signed by" in build(containers, tmp_path / "one", "iris:1")
    # Another version with the same lock: its distributions come from the layers that are there.
    again = build(containers, tmp_path / "two", "iris:2")
    assert again.count("Using cache") >= 5
    assert "Installing collected packages" not in again
    shared = [set(_layers(containers, image)) for image in (BASE, "iris:1", "iris:2")]
    assert shared[0] < shared[1] & shared[2]
    assert len(shared[1] - shared[2]) == 1  # the package

    shutil.copytree(tmp_path / "two", tmp_path / "changed")
    largest = max(
        (tmp_path / "changed" / "package" / "blobs").rglob("*"), key=lambda each: each.stat().st_size
    )
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    assert "error:" in build(containers, tmp_path / "changed", "iris:changed", fails=True)

    _serve(containers, tmp_path, forest.predict(x[::100]).tolist(), x[::100].ravel().tolist())


def _serve(containers: Podman, tmp_path: Path, expected: list[int], rows: list[float]) -> None:
    """Start the container of the endpoint's manifest, and ask it for a prediction from inside: it has no network."""
    assert (
        main(["k8s", "render", "endpoint", "iris", "--image", "localhost/iris:2", "--out", "manifests"]) == 0
    )
    deployment = yaml.safe_load((tmp_path / "manifests" / "50-deployment-iris.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    # As the kubelet hands it over: of root, and for the group of the pod alone.
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "token").write_text(TOKEN)
    shutil.chown(secrets / "token", 0, 10001)
    (secrets / "token").chmod(0o440)
    secrets.chmod(0o755)
    mounts = ("-v", f"{secrets}:/run/secrets/noria:ro", "-v", "/var/lib/noria", "--tmpfs", "/tmp")  # noqa: S108
    flags = container_flags(container, "localhost/iris:2")
    containers.run("run", "--detach", "--name", "iris", "--network", "none", *mounts, *flags)
    asking = ASK.replace("ROWS", json.dumps(rows))
    said: list[str] = []

    def answered() -> bool:
        done = containers.start("exec", "--interactive", "iris", "python3", "-", given=asking)
        said.append(done.stdout or done.stderr)
        return done.returncode == 0

    wait_until(answered, 300, lambda: f"{said[-1]}\n{containers.start('logs', 'iris')}")
    outputs = {each["name"]: each["data"] for each in json.loads(said[-1])["outputs"]}
    assert outputs["predictions"] == expected
    refused = containers.start("exec", "iris", "python3", "-c", "open('/opt/noria-package/x', 'w')")
    assert "Read-only file system" in refused.stderr
    assert containers.run("exec", "iris", "id", "-u").strip() == "10001"
    containers.run("stop", "--time", "60", "iris")
    assert containers.run("inspect", "iris", "--format", "{{.State.ExitCode}}").strip() == "0"


def test_a_server_and_a_batch_in_blue_and_green_run_as_their_manifests_start_them(
    containers: Podman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server makes its first user once; each slot gets its version's rows, and a job that begins twice is one."""
    monkeypatch.chdir(tmp_path)
    image = ("--image", f"localhost/{BASE}")
    assert main(["k8s", "render", "noria", *image, "--objects", "s3://bucket", "--out", "whole"]) == 0
    told = yaml.safe_load((tmp_path / "whole" / "20-configmap-noria-server.yaml").read_text())
    server = yaml.safe_load((tmp_path / "whole" / "50-deployment-noria-server.yaml").read_text())
    pod = server["spec"]["template"]["spec"]
    for name, file, text in (
        ("config", "noria.toml", told["data"]["noria.toml"]),
        ("admin", "password", TOKEN),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    mounts = (
        *("-v", "noria-server:/var/lib/noria", "--tmpfs", "/tmp", "-w", "/etc/noria"),  # noqa: S108
        *("-v", f"{tmp_path}/config:/etc/noria:ro", "-v", f"{tmp_path}/admin:/run/secrets/noria-admin:ro"),
    )
    # A folder of its own and SQLite stand for the bucket and PostgreSQL, which are elsewhere.
    first, main_one = (
        container_flags(
            {**each, "env": [v for v in each["env"] if v["name"] != "NORIA_OBJECTS"]}, f"localhost/{BASE}"
        )
        for each in (pod["initContainers"][0], pod["containers"][0])
    )
    shell = ("--entrypoint", json.dumps(pod["initContainers"][0]["command"]))
    said = [containers.run("run", "--rm", "--network", "none", *mounts, *shell, *first) for _ in range(2)]
    assert ["may sign in" in each for each in said] == [True, False]
    containers.run("run", "--detach", "--name", "server", "--network", "none", *mounts, *main_one)
    asks = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:7777/health/ready').read())"
    wait_until(
        lambda: containers.start("exec", "server", "python3", "-c", asks).returncode == 0,
        300,
        lambda: str(containers.start("logs", "server")),
    )
    containers.run("exec", "-i", "server", "sh", "-c", "cat > /tmp/train.py", given=TRAIN)
    containers.run("exec", "-i", "server", "sh", "-s", given=PREPARE)
    token = containers.start("exec", "server", "noria", "tokens", "create", "pods", "--role", "engineer")

    batch = ("batch", "scores", *image, "--server", "http://127.0.0.1:7777", "--schedule", "0 3 * * *")
    versions = ("--blue", "iris@champion", "--green", "iris@challenger")
    rows = ("--input", "customers", "--output", "scores", "--key", "id", "--out", "batch")
    assert main(["k8s", "render", *batch, *versions, *rows]) == 0
    for slot in ("blue", "green", "green"):
        job = yaml.safe_load((tmp_path / "batch" / f"60-cronjob-scores-{slot}.yaml").read_text())
        (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        # As the kubelet fills it in.
        container["args"] = [word.replace("$(JOB_NAME)", f"scores-{slot}-1") for word in container["args"]]
        flags = container_flags(container, f"localhost/{BASE}")
        pod_flags = ("--network", "container:server", "--tmpfs", "/tmp", "-v", "/var/lib/noria")  # noqa: S108
        containers.run("run", "--rm", *pod_flags, "--env", f"NORIA_TOKEN={token.stdout.strip()}", *flags)
    runs = json.loads(containers.start("exec", "server", "noria", "batches", "runs", "--json").stdout)[
        "items"
    ]
    assert [(run["slot"], run["version"], run["n_done"]) for run in runs] == [
        ("green", 2, 150),
        ("blue", 1, 150),
    ]
    containers.run("rm", "--force", "server")


def _layers(containers: Podman, image: str) -> list[str]:
    told = containers.start("image", "inspect", image, "--format", "{{json .RootFS.Layers}}")
    found: list[str] = json.loads(told.stdout)
    return found

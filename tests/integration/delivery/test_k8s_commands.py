"""`noria k8s render`, as a person and as a program use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from noria.cli.main import find, main
from noria.cli.running import load
from support.manifests import check_manifests, pods

Command = Callable[..., str]

IMAGE = ("--image", "reg.example/iris:1")
BATCH = (
    *("batch", "scores", "--image", "reg.example/noria:1", "--server", "http://noria-server:7777"),
    *("--blue", "iris@champion", "--green", "iris@challenger", "--output-password", "pg"),
    *("--output", "postgresql://noria@pg.example:5433/db#public.scores"),
    *("--schedule", "0 3 * * MON-FRI", "--timezone", "Europe/Berlin"),
)
NORIA = ("noria", "--image", "reg.example/noria:0.4.0", "--objects", "s3://bucket/noria")


@pytest.fixture
def render(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Give a caller of `noria k8s render`; no workspace is needed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, fails: bool = False) -> str:
        assert bool(main(["k8s", "render", *arguments])) is fails
        captured = capsys.readouterr()
        return captured.err if fails else captured.out

    return call


def by_kind(text: str) -> dict[str, list[Any]]:
    """Read a rendering, checked, by the kinds of its objects."""
    manifests = list(yaml.safe_load_all(text))
    check_manifests(manifests)
    found: dict[str, list[Any]] = {}
    for each in manifests:
        found.setdefault(each["kind"], []).append(each)
    return found


def test_an_endpoint_is_rendered_alike_each_time_as_text_json_and_files(
    render: Command, tmp_path: Path
) -> None:
    """The three forms hold the same objects, and the same options give the same bytes."""
    options = ("endpoint", "iris", *IMAGE, "--max-replicas", "5", "--label", "team=flowers")
    text = render(*options)
    assert render(*options) == text
    objects = by_kind(text)
    assert {kind: len(found) for kind, found in objects.items()} == dict.fromkeys(
        ("NetworkPolicy", "Service", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"), 1
    )
    listed = json.loads(render(*options, "--json"))
    assert listed["items"] == list(yaml.safe_load_all(text))

    render(*options, "--out", "manifests")
    folder = tmp_path / "manifests"
    files = sorted(folder.iterdir())
    assert [each for file in files for each in yaml.safe_load_all(file.read_text())] == listed["items"]
    assert all(each["metadata"]["labels"]["team"] == "flowers" for each in listed["items"])

    # Without an autoscaler its file goes; what somebody else put there stays, or is not written over.
    (folder / "own.yaml").write_text("kind: Own\n")
    render("endpoint", "iris", *IMAGE, "--out", "manifests")
    assert {each.name for each in files} - {each.name for each in folder.iterdir()} == {
        "70-horizontalpodautoscaler-iris.yaml"
    }
    (folder / "40-service-iris.yaml").write_text("kind: Own\n")
    assert "did not write it" in render("endpoint", "iris", *IMAGE, "--out", "manifests", fails=True)
    assert (folder / "40-service-iris.yaml").read_text() == "kind: Own\n"


def test_an_endpoint_serves_what_its_image_holds_or_what_a_server_says(render: Command) -> None:
    """Without a server nothing goes out and no token of one is needed; with one, its address and token are."""
    (alone,) = by_kind(render("endpoint", "iris", *IMAGE, "--replicas", "1"))["Deployment"]
    (container,) = alone["spec"]["template"]["spec"]["containers"]
    assert container["args"][:4] == ["serve", "/opt/noria-package", "--endpoint", "iris"]
    assert {each["name"] for each in container["env"]} == {"HOME", "NORIA_WORKSPACE"}

    told = by_kind(
        render(
            *("endpoint", "Iris.v2", *IMAGE, "--server", "https://noria.example", "--model", "iris"),
            *("--server-token", "robots:iris", "--allow-from", "web", "--prometheus"),
        )
    )
    (deployment,) = told["Deployment"]
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["args"][:4] == ["serve", "iris", "--endpoint", "Iris.v2"]
    env = {each["name"]: each for each in container["env"]}
    assert env["NORIA_WORKSPACE"]["value"] == "https://noria.example"
    assert env["NORIA_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": "robots", "key": "iris"}
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == "8080"
    (policy,) = told["NetworkPolicy"]
    assert policy["spec"]["ingress"][0]["from"][1]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "web"
    }
    assert policy["spec"]["egress"][1]["ports"] == [{"protocol": "TCP", "port": 443}]
    name = deployment["metadata"]["name"]
    assert name.startswith("iris-v2-")
    assert f"{name}.noria.svc" in container["args"]
    assert deployment["metadata"]["annotations"] == {"noria/endpoint": "Iris.v2"}


def test_a_whole_noria_is_rendered_with_secrets_by_reference_alone(render: Command) -> None:
    """Database, bucket, first user and tokens come from Secrets; only the server gets at the first three."""
    text = render(
        *(*NORIA, "--objects-secret", "bucket", "--objects-env", "AWS_REGION=eu-central-1"),
        *("--host", "noria.example", "--host", "noria.example:8443", "--max-replicas", "6"),
    )
    objects = by_kind(text)
    assert [each["metadata"]["name"] for each in objects["Deployment"]] == [
        "noria-server",
        "noria-worker",
        "noria-models",
    ]
    seen = {name: _secrets(pod["spec"]) for _, name, pod in pods([*yaml.safe_load_all(text)])}
    assert seen == {
        "noria-server": {"noria-database", "bucket", "noria-admin"},
        "noria-worker": {"noria-token"},
        "noria-models": {"noria-token", "noria-requests"},
    }
    (config,) = objects["ConfigMap"]
    import tomllib

    hosts = tomllib.loads(config["data"]["noria.toml"])["server"]["allowed_hosts"]
    assert hosts[0] == "noria-server"
    assert hosts[-2:] == ["noria.example", "noria.example:8443"]
    (server,) = [each for each in objects["Deployment"] if each["spec"]["strategy"] == {"type": "Recreate"}]
    assert server["metadata"]["name"] == "noria-server"
    (namespace,) = objects["Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_batch_is_rendered_as_a_pair_of_jobs_in_blue_and_green(render: Command) -> None:
    """Each predicts the same rows at the same times into its own slot; what a shell or a pod would fill in stays."""
    statement = "select * from sales where day = '$(HOME)' and price > $1"
    text = render(*BATCH, "--input", statement, "--input-url", "db", "--key", "id")
    objects = by_kind(text)
    jobs = {each["metadata"]["name"]: each["spec"] for each in objects["CronJob"]}
    assert list(jobs) == ["scores-blue", "scores-green"]
    assert {(spec["schedule"], spec["timeZone"]) for spec in jobs.values()} == {
        ("0 3 * * MON-FRI", "Europe/Berlin")
    }
    args = {}
    for name, spec in jobs.items():
        pod = spec["jobTemplate"]["spec"]["template"]["spec"]
        assert _secrets(pod) == {"noria-token", "db", "pg"}
        (container,) = pod["containers"]
        args[name] = container["args"]
        assert container["args"][-2:] == ["--once", "$(JOB_NAME)"]
        assert container["args"][3] == statement.replace("$", "$$")
    assert [each[1] for each in args.values()] == ["iris@champion", "iris@challenger"]
    assert [each[-3] for each in args.values()] == ["blue", "green"]
    (policy,) = objects["NetworkPolicy"]
    ports = policy["spec"]["egress"][1]["ports"]
    assert ports == [{"protocol": "TCP", "port": port} for port in (5433, 7777)]


def test_pods_reach_the_server_that_they_work_for(render: Command) -> None:
    """The network of a whole Noria lets in workers, model servers, and endpoints and batches rendered beside it."""
    whole = by_kind(render(*NORIA))
    (policy,) = [each for each in whole["NetworkPolicy"] if each["metadata"]["name"] == "noria-server"]
    (rule,) = policy["spec"]["ingress"]
    (peer,) = rule["from"]
    server = ("--server", "http://noria-server:7777")
    callers = [
        pod["metadata"]["labels"]
        for options in (NORIA, (*BATCH, "--input", "rows"), ("endpoint", "iris", *IMAGE, *server))
        for _, _, pod in pods([*yaml.safe_load_all(render(*options))])
    ]
    assert len(callers) == 6
    assert all(peer["podSelector"]["matchLabels"].items() <= labels.items() for labels in callers)


def test_what_pods_call_is_what_the_command_line_takes(render: Command) -> None:
    """Each container's arguments are read by the command that they name."""
    called = []
    for options in (("endpoint", "iris", *IMAGE), NORIA, (*BATCH, "--input", "rows", "--probabilities")):
        for _, _, pod in pods([*yaml.safe_load_all(render(*options))]):
            name, *arguments = pod["spec"]["containers"][0]["args"]
            command = find(name)
            assert command is not None
            load(command).make_context(name, arguments)
            called.append(name)
    assert called == ["serve", "server", "worker", "serve", "predict", "predict"]


def _secrets(spec: Any) -> set[str]:
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    values = [each["valueFrom"] for c in containers for each in c["env"] if "valueFrom" in each]
    whole = [each["secretRef"]["name"] for c in containers for each in c.get("envFrom", [])]
    files = [each["secret"]["secretName"] for each in spec["volumes"] if "secret" in each]
    return {
        *(each["secretKeyRef"]["name"] for each in values if "secretKeyRef" in each),
        *whole,
        *files,
    }


@pytest.mark.parametrize(
    ("arguments", "said", "mend"),
    [
        (("endpoint", "iris", "--image", "iris"), "another image each time", "iris:1"),
        (("endpoint", "iris", "--image", "Iris:1\n"), "no reference of an image", "registry.example"),
        (("endpoint", "a b", *IMAGE), "cannot be the name of a endpoint", "`a-b`"),
        (("endpoint", "iris", *IMAGE, "--name", "Iris"), "no name that Kubernetes takes", "--name iris-"),
        (("endpoint", "iris", *IMAGE, "--namespace", "a.b"), "no name that Kubernetes takes", "--namespace a-b"),
        (("endpoint", "iris", *IMAGE, "--cpu", "2:1"), "less than the request", "--cpu 1:2"),
        (("endpoint", "iris", *IMAGE, "--cpu", "2 cores"), "no amount", "500m:2"),
        (("endpoint", "iris", *IMAGE, "--memory", "1m"), "no amount", "`Mi`"),
        (("endpoint", "iris", *IMAGE, "--memory", "1Mi"), "too little", "512Mi"),
        (("endpoint", "iris", *IMAGE, "--replicas", "3", "--max-replicas", "2"), "less than", "--replicas 2"),
        (("endpoint", "iris", *IMAGE, "--token", "a:b c"), "no key of a Secret", "--token a:token"),
        (("endpoint", "iris", *IMAGE, "--token", ":x"), "no name that Kubernetes takes", "--token n-"),
        (("endpoint", "iris", *IMAGE, "--label", "a=b c"), "no label", "team=ranking"),
        (("endpoint", "iris", *IMAGE, "--label", "noria/x=1"), "set by Noria itself", "Leave out"),
        (("endpoint", "iris", *IMAGE, "--server", "noria:7777"), "no address of a server", "http://"),
        (("endpoint", "iris", *IMAGE, "--server", "http://u:p@n"), "more in it", "--server-token"),
        (("endpoint", "iris", *IMAGE, "--server", "http://n", "--model", "m@1"), "names a version", "--model m"),
        (("endpoint", "iris", *IMAGE, "--model", "iris"), "no server is named", "--server URL"),
        (("endpoint", "iris", *IMAGE, "--image-secret", "My Key"), "no name that Kubernetes", "--image-secret my-"),
        ((*BATCH, "--input", "rows", "--project", "a b"), "cannot be the name", "`a-b`"),
        ((*BATCH, "--input", "rows", "--green", "iris@champion"), "are both", "iris@challenger"),
        ((*BATCH, "--input", "rows", "--blue", "iris"), "not which version", "iris@champion"),
        ((*BATCH, "--input", "rows.csv"), "is a file", "noria data append"),
        ((*BATCH, "--input", "select 1"), "go together", "--input-url"),
        ((*BATCH, "--input", "rows", "--output", "a.parquet"), "ends with its pod", "postgresql://"),
        ((*BATCH, "--input", "rows", "--output", "postgresql://u:p@h/d#t"), "has a password", "--output-password"),
        ((*BATCH, "--input", "rows", "--output", "scores"), "takes no password", "--output-password"),
        ((*BATCH, "--input", "rows", "--schedule", "@daily"), "no time", "0 3 * * MON-FRI"),
        ((*BATCH, "--input", "rows", "--schedule", "0 25 * * *"), "no time", "0 3 * * MON-FRI"),
        ((*BATCH, "--input", "rows", "--schedule", "0 3 * * 5-7"), "has the day 7", "`SUN`"),
        ((*BATCH, "--input", "rows", "--timezone", "Europe/Berln"), "not a time zone", "Europe/Berlin"),
        ((*BATCH, "--input", "rows", "--unfit", "nul"), "nul", "null"),
        ((*NORIA, "--objects", "/srv/objects"), "no address of a bucket", "s3://"),
        ((*NORIA, "--objects-env", "AWS_SECRET_ACCESS_KEY=x"), "looks like a secret", "--objects-secret"),
        ((*NORIA, "--admin", "ana; rm"), "cannot be the name", "--admin ana"),
        ((*NORIA, "--host", "https://noria.example"), "no name of a host", "Without `https://`"),
    ],
)  # fmt: skip
def test_what_kubernetes_would_refuse_is_refused_with_the_mend(
    render: Command, arguments: tuple[str, ...], said: str, mend: str
) -> None:
    """Before anything is written, by a sentence that names the option."""
    told = render(*arguments, fails=True)
    message, _, hint = told.partition("\n\nhint: ")
    assert said in message
    assert mend in hint

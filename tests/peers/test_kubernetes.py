"""Kubernetes: its published schemas, and the reader of manifests in its command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from noria.cli.main import main
from noria.delivery.kubernetes.text import to_yaml
from peers.conftest import Peer
from support.manifests import TRICKS, check_manifests

PEER = "kubernetes"
DISTRIBUTION = "kubernetes-validate"
COVERS = (
    "what `noria k8s render` writes keeps to the schemas of five releases, and Go reads its texts as they are"
)
NOT_YET = "a cluster"

RENDERINGS = {
    "endpoint": ["endpoint", "iris", "--image", "reg.example/iris:1"],
    "small": ["endpoint", "iris", "--image", "reg.example/iris:1", "--replicas", "1", "--name", "small"],
    "endpoint-of-server": [
        *("endpoint", "Iris.v2", "--image", f"reg.example/iris@sha256:{'0' * 64}", "--max-replicas", "9"),
        *("--server", "https://noria.example", "--image-secret", "pull", "--service-account", "robot"),
        *("--label", "team=flowers", "--allow-from", "web", "--prometheus"),
    ],
    "batch": [
        *("batch", "Scores", "--image", "reg.example/noria:1", "--server", "http://noria-server:7777"),
        *("--blue", "iris@1", "--green", "iris@2", "--input", "select 'no'", "--input-url", "db:url"),
        *(
            "--output",
            "postgresql://noria@pg/db#scores",
            "--output-password",
            "pg",
            "--schedule",
            "0 3 * * *",
        ),
    ],
    "noria": ["noria", "--image", "reg.example/noria:1", "--objects", "gs://bucket"],
    "noria-wide": [
        *(
            "noria",
            "--image",
            "reg.example/noria:1",
            "--objects",
            "s3://bucket/noria",
            "--objects-secret",
            "s3",
        ),
        *(
            "--objects-env",
            "AWS_REGION=no",
            "--disk-class",
            "fast",
            "--host",
            "noria.example",
            "--job-pods",
            "3",
        ),
        *("--max-replicas", "4", "--allow-from", "ingress", "--job-port", "5432"),
    ],
}


@pytest.mark.parametrize("release", ["1.29", "1.31", "1.33", "1.35", "1.37"])
def test_manifests_keep_to_the_published_schemas(peer: Peer, tmp_path: Path, release: str) -> None:
    """Strictly: a field that the schema does not know is refused as well as one of a wrong type."""
    for name, options in RENDERINGS.items():
        assert main(["k8s", "render", *options, "--out", str(tmp_path / name)]) == 0
        check_manifests([yaml.safe_load(file.read_text()) for file in (tmp_path / name).iterdir()])
    files = sorted(tmp_path.glob("*/*.yaml"))
    said = peer.run(["kubernetes-validate", "--strict", "-k", release, *files], cwd=tmp_path)
    assert said.count(" passed for resource ") == len(files)


def test_the_reader_of_kubernetes_sees_the_same_texts(peer: Peer, tmp_path: Path) -> None:
    """Go's reader, which takes other bare words for numbers than Python's does, gives back each text as it is."""
    texts = {f"k{n}": text for n, text in enumerate(TRICKS)}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "texts"}, "data": texts}
    (tmp_path / "texts.yaml").write_text(to_yaml([config]), encoding="utf-8")
    said = peer.run(
        ["kubectl", "label", "--local", "-f", "texts.yaml", "read=yes", "-o", "json"], cwd=tmp_path
    )
    assert json.loads(said)["data"] == texts

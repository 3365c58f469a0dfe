"""`noria lineage`, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from noria.cli.main import main

FLOW = """
from noria import pipeline, step


@step
def load(n: int) -> list[int]:
    return list(range(n))


@step
def total(rows: list[int]) -> int:
    return sum(rows)


@pipeline
def study(n: int = 4) -> int:
    return total(load(n))
"""


def test_an_output_is_followed_back_as_text_json_and_drawing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All three tell the same; what is not there, and a file that cannot be written, are errors with their mend."""
    (tmp_path / "flow_of_lineage.py").write_text(FLOW)
    (tmp_path / "noria.toml").write_text('[workspace]\nurl = "w"\n')
    monkeypatch.chdir(tmp_path)
    assert main(["run", "flow_of_lineage:study", "-p", "n=5", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)
    digest = run["outputs"]["output"]["digest"]

    assert main(["lineage", digest]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"object:{digest}\n\nfrom\n")
    for line in ("params: n=5", f"made by step:{run['run_id']}/1 (total)", f"snapshot {run['snapshot']}"):
        assert line in text
    assert main(["lineage", digest, "--json", "--svg", "lineage.svg"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["runs"][f"run:{run['run_id']}"]["params"] == {"n": "5"}
    names = {node["label"] for node in told["upstream"]["nodes"]}
    assert {"load", "total"} <= names
    drawing = ElementTree.parse(tmp_path / "lineage.svg").getroot()  # noqa: S314 - our own
    boxes = drawing.findall(".//{http://www.w3.org/2000/svg}rect")
    assert len(boxes) == len(told["upstream"]["nodes"])
    assert main(["lineage", run["run_id"], "--depth", "1"]) == 0
    assert "nothing that the workspace knows of" in capsys.readouterr().out
    assert main(["lineage", f"step:{run['run_id']}/7"]) == 1
    assert f"noria pipelines show {run['run_id']}" in capsys.readouterr().err
    assert main(["lineage", digest, "--svg", "no/such/folder.svg"]) == 2
    assert main(["lineage", "digits"]) == 2

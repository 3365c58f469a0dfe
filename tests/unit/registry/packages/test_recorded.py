"""What a run or a registration recorded of its environment is found, and what serving needs of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LinearRegression

import noria
from noria.core.config import load_settings
from noria.core.ids import new_id
from noria.core.objects.trees import read_manifest
from noria.core.serialisation import to_canonical_json
from noria.core.workspace import Workspace, open_workspace
from noria.pipelines.entities import NewPipelineRun
from noria.pipelines.service import PipelineRuns
from noria.registry.entities import ModelVersion, Origin
from noria.registry.exchange import move_version
from noria.registry.packages import client
from noria.registry.packages.needs import distributions_needed
from noria.registry.packages.recorded import Recorded, recorded_environment
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.tracking.artifacts import Artifacts
from noria.tracking.capture import ENVIRONMENT_PATH
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs
from support.packages import open_packing, register_files


def test_pipelines_and_other_runs_tell_versions_and_python(tmp_path: Path) -> None:
    """A list of a run, an environment of a pipeline's run, nothing, a run that is gone, and the registration's own."""
    text = b"# CPython 3.12.1 on Linux\nscikit-learn==1.7.2\nmine @ file:///home/me  # 0.1\n"
    environment = {"python": "3.11.7", "platform": "x", "distributions": {"scikit_learn": "1.7.0"}}
    with open_packing(tmp_path / "workspace") as workspace:
        run = workspace.service(Runs).create("default", NewRun(name="train", experiment="e"))
        workspace.service(Artifacts).put("default", iter([text]), f"run:{run.id}", ENVIRONMENT_PATH)
        kept = workspace.objects().put_bytes(to_canonical_json(environment)).digest
        piped = new_id()
        new = NewPipelineRun(run_id=piped, name="p", pipeline="m:p", environment=kept)
        workspace.service(PipelineRuns).start("default", new)
        bare = workspace.service(Runs).create("default", NewRun(name="bare", experiment="e"))
        found = []
        own = workspace.objects().put_bytes(b"# CPython 3.13.0 on Linux\nscikit-learn==1.8.0\n").digest
        origins = [Origin(run_id=each) for each in (run.id, piped, bare.id, new_id(), None)]
        origins += [Origin(run_id=each, environment=own) for each in (run.id, bare.id, None)]
        for n, origin in enumerate(origins):
            version = register_files(workspace, tmp_path / str(n), {"n": bytes([n])}, origin=origin)
            found.append(recorded_environment(workspace, servable(version)))

        assert found == [
            Recorded(python="3.12", pins={"scikit-learn": "1.7.2", "mine": None}),
            Recorded(python="3.11", pins={"scikit-learn": "1.7.0"}),
            None,
            None,
            None,
            Recorded(python="3.12", pins={"scikit-learn": "1.7.2", "mine": None}),
            Recorded(python="3.13", pins={"scikit-learn": "1.8.0"}),
            Recorded(python="3.13", pins={"scikit-learn": "1.8.0"}),
        ]
        assert workspace.service(Models).get("default", "iris").latest == 8
        package, _ = client.build(workspace, "iris@1")
        assert package.lock_incomplete == "the run did not record a released version of `numpy`"


def needed(workspace: Workspace, version: ModelVersion) -> dict[str, str | None]:
    objects = workspace.objects()
    return distributions_needed(objects, servable(version), read_manifest(objects, str(version.digest)))


def test_what_serves_a_version_is_needed_besides_what_its_files_name(tmp_path: Path) -> None:
    """ONNX Runtime where its form answers, a library under another name, what an older version does not say."""
    equal = b'{"equal": true, "made_with": {"onnxruntime": "1.22.0"}}'
    with open_packing(tmp_path / "workspace") as workspace:
        versions = [
            register_files(workspace, tmp_path / str(n), files, format=kind)
            for n, (kind, files) in enumerate(
                [
                    ("sklearn-skops", {"equality.json": equal, "requirements.txt": b"skops==0.14\n"}),
                    ("sklearn-skops", {"equality.json": b'{"equal": false}'}),
                    ("xgboost", {"requirements.txt": b"xgboost-cpu==3.2.0\nnumpy==2.1\n"}),
                    ("onnx", {"model.onnx": b"g"}),
                ]
            )
        ]
        forest = dict.fromkeys(("numpy", "scikit-learn", "scipy", "skops"))
        assert [needed(workspace, version) for version in versions] == [
            {**forest, "skops": "0.14", "onnxruntime": "1.22.0"},
            forest,
            {"numpy": "2.1", "scipy": None, "xgboost-cpu": "3.2.0"},
            {"onnxruntime": None, "numpy": None},
        ]


def test_registering_outside_a_run_records_what_is_installed(tmp_path: Path) -> None:
    """The version keeps the list, and takes it along to another workspace; who captures none has none."""
    x = np.arange(20.0).reshape(10, 2)
    fitted = LinearRegression().fit(x, x[:, 0])
    with open_packing(tmp_path / "one") as here, open_packing(tmp_path / "two") as there:
        made = noria.register(fitted, "line", x=x, y=x[:, 0], workspace=here)
        moved = servable(move_version(here, made.ref, there).version)
        for workspace, version in ((here, made), (there, moved)):
            found = recorded_environment(workspace, version)
            assert found is not None
            assert found.pins["scikit-learn"] == sklearn.__version__
            wanted = needed(workspace, version)
            assert wanted.keys() >= {"skops", "onnxruntime"}
            assert all(found.pins[name] for name in wanted)
        here.service(Models).delete("default", "line")
    (tmp_path / "noria.toml").write_text("[tracking.capture]\nenvironment = false\n")
    settings = load_settings(workspace=str(tmp_path / "one"), folder=tmp_path, environ={})
    with open_workspace(settings) as silent:
        made = noria.register(fitted, "line2", x=x, y=x[:, 0], workspace=silent)
        assert made.origin.environment is None

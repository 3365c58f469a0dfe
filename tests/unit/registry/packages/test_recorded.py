"""What a run recorded of its environment is found, whichever kind of run it was."""

from __future__ import annotations

from pathlib import Path

from noria.core.ids import new_id
from noria.core.serialisation import to_canonical_json
from noria.pipelines.entities import NewPipelineRun
from noria.pipelines.service import PipelineRuns
from noria.registry.entities import Origin
from noria.registry.packages import client
from noria.registry.packages.recorded import Recorded, recorded_environment
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.tracking.artifacts import Artifacts
from noria.tracking.capture import ENVIRONMENT_PATH
from noria.tracking.entities import NewRun
from noria.tracking.service import Runs
from support.packages import open_packing, register_files


def test_pipelines_and_other_runs_tell_versions_and_python(tmp_path: Path) -> None:
    """A list of requirements of a run, an environment of a pipeline's run, nothing, and a run that is gone."""
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
        for n, run_id in enumerate((run.id, piped, bare.id, new_id(), None)):
            version = register_files(
                workspace, tmp_path / str(n), {"n": bytes([n])}, origin=Origin(run_id=run_id)
            )
            found.append(recorded_environment(workspace, servable(version)))

        assert found == [
            Recorded(python="3.12", pins={"scikit-learn": "1.7.2", "mine": None}),
            Recorded(python="3.11", pins={"scikit-learn": "1.7.0"}),
            None,
            None,
            None,
        ]
        assert workspace.service(Models).get("default", "iris").latest == 5
        package, _ = client.build(workspace, "iris@1")
        assert package.lock_incomplete == "the run did not record a released version of `numpy`"

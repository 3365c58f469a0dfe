"""Run a pipeline from Python elsewhere, again, or on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noria.pipelines.authoring import Pipeline
    from noria.pipelines.runner import PipelineResult


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """A pipeline, and how it is run; made by `Pipeline.options()`.

    Attributes
    ----------
    workers, on
        Processes of this machine, or a cluster: `dask://HOST:PORT`, `ray://HOST:PORT`.
    force
        Run every step, whatever is known.
    from_steps
        Names of steps to run whatever is known, with all that depends on them.
    resume
        Id of a run to go on with.
    """

    pipeline: Pipeline[..., Any]
    workers: int | None = None
    on: str | None = None
    force: bool = False
    from_steps: Collection[str] = ()
    resume: str | None = None

    def run(self, **parameters: Any) -> PipelineResult:
        """Run it recorded, in the current workspace.

        Raises
        ------
        ParameterInvalid
            If a parameter is unknown, missing or of a wrong type.
        Unavailable
            If the cluster does not answer.
        Failed
            If a step or the body raised; the message names it and the line.
        """
        from noria.core.workspace import current_workspace
        from noria.pipelines.executors.choice import ExecutorChoice
        from noria.pipelines.runner import run_pipeline

        return run_pipeline(
            current_workspace(),
            self.pipeline,
            parameters,
            force=self.force,
            from_steps=self.from_steps,
            resume=self.resume,
            executor=ExecutorChoice(workers=self.workers, on=self.on),
        )

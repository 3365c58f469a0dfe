"""Run the reader in an environment that has MLflow, and hand its lines to the writer."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

from noria.core.errors import Failed, Invalid, NotFound, near
from noria.core.workspace import Workspace
from noria.interop.mlflow.importing.entities import (
    AliasesLine,
    AnyLine,
    Begin,
    End,
    EvaluationDatasetEndLine,
    EvaluationDatasetLine,
    ExperimentLine,
    ExperimentsEnd,
    FileLine,
    ImportReport,
    IssueLine,
    LabelSchemaLine,
    Line,
    LoggedModelEndLine,
    LoggedModelLine,
    ModelLine,
    PointsLine,
    RecordsLine,
    ReviewQueueLine,
    RunEndLine,
    RunLine,
    ScorerLine,
    SkippedLine,
    SpansLine,
    TraceEndLine,
    TraceLine,
    TraceLinksLine,
    UnknownExperiment,
    VersionLine,
)
from noria.interop.mlflow.importing.reviewing import ReviewWriter
from noria.interop.mlflow.importing.tracing import TraceWriter
from noria.interop.mlflow.importing.writing import Writer

_READER = Path(__file__).with_name("reader")
_PASSWORD = re.compile(r"(?<=//)([^/@:]*):[^/@]*@")
_SQLITE = "sqlite:///"
_SHOWN_CHARS = 500


def import_mlflow(
    workspace: Workspace,
    uri: str,
    *,
    python: str | None = None,
    experiments: list[str] | None = None,
    artifacts: bool = True,
    artifacts_root: str | None = None,
    told: Callable[[str], None] = lambda _text: None,
) -> ImportReport:
    """Bring an MLflow store into the workspace's project. Again, it brings only what is not there yet.

    Parameters
    ----------
    uri
        What `mlflow.set_tracking_uri` takes: `sqlite:///mlflow.db`, `postgresql://…`, `http://…`, or a folder `mlruns`.
    python
        Interpreter of an environment that has MLflow; this one when left out.
    experiments
        Only those of these names, and no registered models; everything when None.
    artifacts_root
        What the MLflow server had as `--artifacts-destination`, where URIs of the store begin with
        `mlflow-artifacts:`; needed unless `uri` is that server's.
    told
        Called with what is being read.

    Raises
    ------
    Invalid
        If the interpreter has no MLflow.
    NotFound
        If there is no such file or folder, or the store has no experiment of a name; nothing was changed by then.
    Failed
        If MLflow cannot read the store; what was brought so far stays, and another import goes on from there.
    """
    shown = _PASSWORD.sub(r"\1:***@", uri)
    command = [_interpreter(python), "-u", str(_READER), _present(uri)]
    for name in experiments or []:
        command += ["--experiment", name]
    if not artifacts:
        command.append("--no-artifacts")
    if artifacts_root is not None:
        command += ["--artifacts-root", _absolute(artifacts_root)]
    conversation = _Conversation(Writer(workspace, shown), told)
    with tempfile.TemporaryFile() as words, _reading(command, words) as (process, output):
        assert process.stdin is not None  # noqa: S101 - opened as a pipe
        for line in _lines(output):
            answer = conversation.hear(line)
            if answer is not None:
                process.stdin.write(answer + b"\n")
                process.stdin.flush()
        if process.wait() != 0 or not conversation.ended:
            raise _failed(shown, process.returncode, words)
    return conversation.report()


class _Conversation:
    """Hands each line to the writer, and gives what the reader waits for."""

    def __init__(self, writer: Writer, told: Callable[[str], None]) -> None:
        self._writer = writer
        self._traces = TraceWriter(writer)
        reviews = ReviewWriter(writer)
        self._told = told
        self._version = ""
        self.ended = False
        self._notes: dict[type[Line], Callable[[Any], None]] = {
            Begin: self._begin,
            ExperimentLine: self._experiment,
            PointsLine: writer.points,
            RunEndLine: writer.run_end,
            LoggedModelEndLine: writer.logged_model_end,
            ExperimentsEnd: lambda _line: writer.experiments_end(),
            ModelLine: self._model,
            VersionLine: writer.version,
            AliasesLine: writer.aliases,
            SpansLine: self._traces.spans,
            TraceEndLine: self._traces.trace_end,
            TraceLinksLine: self._traces.links,
            ScorerLine: self._traces.scorer,
            IssueLine: self._traces.issue,
            LabelSchemaLine: reviews.label_schema,
            ReviewQueueLine: reviews.review_queue,
            RecordsLine: self._traces.records,
            EvaluationDatasetEndLine: self._traces.evaluation_dataset_end,
            SkippedLine: writer.skip,
            End: self._end,
        }

    def report(self) -> ImportReport:
        """Tell what was done."""
        return self._writer.report(self._version)

    def hear(self, line: AnyLine) -> bytes | None:
        """Take a line; gives the answer to it if it is a question."""
        match line:
            case RunLine():
                self._told(f"run {line.name or line.id}")
                return b"take" if self._writer.run(line) else b"skip"
            case LoggedModelLine():
                self._told(f"logged model {line.name}")
                return b"take" if self._writer.logged_model(line) else b"skip"
            case TraceLine():
                self._told(f"trace {line.id}")
                return b"take" if self._traces.trace(line) else b"skip"
            case EvaluationDatasetLine():
                self._told(f"evaluation data set {line.name}")
                return b"take" if self._traces.evaluation_dataset(line) else b"skip"
            case FileLine():
                keep = self._traces.attachment if self._traces.is_at_hand else self._writer.file
                keep(line)
                return b"kept"
            case UnknownExperiment():
                raise _unknown(line)
            case _:
                self._notes[type(line)](line)
                return None

    def _begin(self, line: Begin) -> None:
        self._version = line.version

    def _end(self, _line: End) -> None:
        self.ended = True

    def _experiment(self, line: ExperimentLine) -> None:
        self._told(f"experiment {line.name}")
        self._writer.experiment(line)

    def _model(self, line: ModelLine) -> None:
        self._told(f"model {line.name}")
        self._writer.model(line)


def _interpreter(python: str | None) -> str:
    if python is None:
        if importlib.util.find_spec("mlflow") is None:
            raise Invalid(
                "Reading an MLflow store needs MLflow, which this environment does not have",
                hint="pip install mlflow, or `--python PATH` of an environment that has it",
            )
        return sys.executable
    asked = (
        subprocess.run(
            [python, "-c", "import importlib.util as u; print(u.find_spec('mlflow') is not None)"],
            capture_output=True,
            text=True,
            check=False,
        )
        if Path(python).exists()
        else None
    )
    if asked is None or asked.stdout.strip() != "True":
        raise Invalid(f"`{python}` is no Python that has MLflow", hint=f"{python} -m pip install mlflow")
    return python


def _present(uri: str) -> str:
    """Give the URI of a store that is there; MLflow would make an empty one at a misspelt path.

    Raises
    ------
    NotFound
        If it names a file or folder of this machine that does not exist.
    """
    if uri.startswith(_SQLITE):
        path = Path(uri.removeprefix(_SQLITE).partition("?")[0])
        if not path.is_file():
            raise NotFound(f"There is no database `{path}`", hint=_near_hint(path))
    elif "://" not in uri and not Path(uri).is_dir():
        raise NotFound(
            f"There is no folder `{uri}`",
            hint="Give a folder `mlruns`, `sqlite:///mlflow.db`, `postgresql://…` or `http://…`",
        )
    return _absolute(uri)


def _near_hint(path: Path) -> str:
    beside = [each.name for each in path.parent.glob("*.db")] if path.parent.is_dir() else []
    close = near(path.name, beside)
    shown = _SQLITE + str(path.with_name(close)) if close else ""
    return (
        f"Did you mean `{shown}`?"
        if close
        else "An absolute path has four slashes: `sqlite:////home/ana/mlflow.db`"
    )


def _absolute(uri: str) -> str:
    """Give a folder's path as MLflow can read it from anywhere; any other URI as it is."""
    return Path(uri).resolve().as_uri() if "://" not in uri and Path(uri).is_dir() else uri


@contextmanager
def _reading(command: list[str], words: IO[bytes]) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # MLflow 3 reads folders of runs only when told that their format is an old one.
        "MLFLOW_ALLOW_FILE_STORE": "true",
    }
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, env=environment
    ) as process:
        assert process.stdout is not None  # noqa: S101 - opened as a pipe
        try:
            yield process, process.stdout
        finally:
            if process.poll() is None:
                process.kill()


def _lines(output: IO[bytes]) -> Iterator[AnyLine]:
    decoder = msgspec.json.Decoder(AnyLine)
    for line in output:
        yield decoder.decode(line)


def _unknown(line: UnknownExperiment) -> NotFound:
    close = near(line.name, line.known)
    return NotFound(
        f"The store has no experiment `{line.name}`",
        hint=f"Did you mean `{close}`?" if close else f"It has: {', '.join(line.known[:20])}",
    )


def _failed(shown: str, code: int, words: IO[bytes]) -> Failed:
    words.seek(0)
    said = words.read().decode(errors="replace").strip().splitlines()
    cause = _PASSWORD.sub(r"\1:***@", said[-1]) if said else f"it ended with {code}"
    return Failed(
        f"MLflow could not read `{shown}`: {cause[:_SHOWN_CHARS]}",
        hint="Check the address; what was brought so far stays, and another import goes on from there",
    )

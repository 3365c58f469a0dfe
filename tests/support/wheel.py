"""A model that went once round the wheel, written through the services, for pages to show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from noria.catalog.entities import (
    Candidate,
    Evidence,
    Figure,
    NewRecord,
    RecordChange,
    RecordKind,
    RecordOutcome,
)
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.objects.project import ProjectStore
from noria.core.objects.service import Objects
from noria.core.objects.trees import make_manifest, put_manifest
from noria.data.entities import DatasetKind, NewDatasetVersion
from noria.data.service import Datasets
from noria.monitoring.detector import DropDetector
from noria.monitoring.entities import (
    AlertKind,
    CloseAlert,
    ColumnDrift,
    DriftReport,
    Look,
    NewAlert,
    QualityReport,
    ScoredRow,
    Window,
)
from noria.monitoring.service import Monitors
from noria.registry.entities import (
    AliasTarget,
    Holdout,
    NewModelVersion,
    Origin,
    ServableVersion,
    Signature,
    Task,
    TensorSpec,
)
from noria.registry.rules import servable
from noria.registry.service import Models
from noria.serving.entities import Deployment, Reason, RolloutStep, Strategy
from noria.serving.plans import AppliedPlan, ServerReport
from noria.serving.predictions import CaptureBatch, Prediction
from noria.serving.service import Captures, Endpoints, Rollouts
from noria.tracking.entities import LogBatch, NewRun, RunEnd, RunStatus
from noria.tracking.point_entities import MetricPoint
from noria.tracking.service import Runs

PROJECT = "default"
SIGNATURE = Signature(
    inputs=[TensorSpec(name="pixels", datatype="FP64", shape=[-1, 64])],
    outputs=[TensorSpec(name="predictions", datatype="INT64", shape=[-1])],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What users write: names are checked, all else is shown as it is."""

    model: str = "digits"
    message: str = "nine digits, no zero"
    run: str = "extra trees"
    metric: str = "holdout_accuracy"
    sentence: str = (
        "Accuracy of version 1 fell to 87.1 % (82.0 to 91.0 %) on 140 labels; its reference is 97.2 %"
    )
    problem: str = "Accuracy of `digits` fell from 97.2 % to 87.1 %"
    stage: str = "new_class"
    verdict: str = "yes"
    finding: str = "14 of the last 140 labels are `0`, a class that version 1 never learned (5.6 to 16.2 %)"
    cause: str = "new_class"
    remedy: str = "retrain"
    note: str = "Trained on 1,180 rows, 61 of them zeros"
    reason: str = (
        "The largest net gain whose lower end is above zero: 9.3 points on 70 rows that no candidate had seen"
    )
    fact: str = "remark"
    value: str = "the canary passed both steps"


class Turn:
    """Writes one model's way round the wheel, step by step."""

    def __init__(self, context: Context, words: Words | None = None) -> None:
        self._context = context
        self._words = words or Words()
        self._store = ProjectStore(context.service(Objects), PROJECT)
        self._tree = put_manifest(self._store, make_manifest([]))

    def registered(self) -> ServableVersion:
        """Add data, run a training and register a version."""
        words, name = self._words, self._words.model
        data = self._context.service(Datasets).add(
            PROJECT,
            f"{name}-train",
            NewDatasetVersion(
                digest=self._tree.digest,
                kind=DatasetKind.ARRAYS,
                n_files=2,
                size_bytes=610_304,
                n_rows=1078,
                message=words.message,
            ),
        )
        runs = self._context.service(Runs)
        run = runs.create(PROJECT, NewRun(name=words.run, experiment="train_digits"))
        at = self._context.clock.now()
        point = MetricPoint(key=words.metric, value=0.972, step=0, at=at)
        runs.log(PROJECT, run.id, LogBatch(metrics=[point]))
        runs.finish(PROJECT, run.id, RunEnd(status=RunStatus.FINISHED))
        new = NewModelVersion(
            digest=self._tree.digest,
            format="sklearn-skops",
            task=Task.CLASSIFICATION,
            signature=SIGNATURE,
            holdout=Holdout(metric="accuracy", value=0.972, n=216, score=0.972),
            origin=Origin(run_id=run.id, dataset=data.ref, pipeline="digits_pipeline:train_digits"),
            message=words.message,
        )
        version = self._context.service(Models).register(PROJECT, name, new)
        if version.version == 1:
            self._context.service(Models).set_alias(PROJECT, name, "champion", AliasTarget(version=1))
        return servable(version)

    def deployed(self, *, version: int = 1, decision_id: str | None = None) -> str:
        """Deploy a version, by canary if there is one already; gives the rollout's id."""
        endpoints = self._context.service(Endpoints)
        rollout = endpoints.deploy(
            PROJECT,
            self._words.model,
            Deployment(
                model=self._words.model,
                version=version,
                strategy=Strategy.CANARY if version > 1 else Strategy.REPLACE,
                steps=[
                    RolloutStep(weight=0.1, bake_s=5, min_requests=50),
                    RolloutStep(weight=0.5, bake_s=5, min_requests=100),
                ]
                if version > 1
                else None,
                decision_id=decision_id,
            ),
        )
        self._follow()
        return rollout.id

    def answered(self, *, version: int, n: int, n_errors: int = 0, tag: str = "a") -> None:
        """Have a version answer requests."""
        at = datetime(2026, 11, 21, 12, tzinfo=UTC)
        made = [
            Prediction(
                id=f"{self._words.model}-{version}-{tag}-{i}",
                version=version,
                at=at + timedelta(seconds=i),
                inputs={"pixels": [0.0]},
                outputs={} if i < n_errors else {"predictions": i % 9 + 1},
                latency_us=1800 + i % 400,
                error="refused" if i < n_errors else None,
            )
            for i in range(n)
        ]
        self._context.service(Captures).append(PROJECT, self._words.model, CaptureBatch(predictions=made))

    def watched(self, *, mean: float = 0.871, alert: bool = True) -> None:
        """Watch the endpoint, and raise an alert."""
        name, monitors = self._words.model, self._context.service(Monitors)
        seen = monitors.watch(PROJECT, name)
        now = self._context.clock.now()
        drift = DriftReport(
            n_columns=64,
            n_drifted=3,
            columns=[
                ColumnDrift(
                    name="pixels[20]",
                    test="ks",
                    statistic=0.21,
                    p_value=1e-5,
                    adjusted_p_value=4e-4,
                    psi=0.31,
                    drifted=True,
                )
            ],
        )
        window = Window(
            index=seen.n_windows + 1,
            version=1,
            first_position=1,
            last_position=200,
            first_at=now - timedelta(seconds=40),
            last_at=now,
            n_rows=200,
            n_errors=0,
            drift=drift,
        )
        quality = QualityReport(
            n=180,
            mean=mean,
            low=mean - 0.051,
            high=min(1.0, mean + 0.039),
            recent=[ScoredRow(position=i, score=1.0) for i in range(140)],
            reference=0.972,
            reference_n=216,
            evidence=9.4,
            threshold=9.2,
        )
        raised = NewAlert(
            kind=AlertKind.QUALITY,
            version=1,
            figures={
                "mean": mean,
                "low": mean - 0.051,
                "high": min(1.0, mean + 0.039),
                "n": 140.0,
                "reference": 0.972,
                "reference_n": 216.0,
                "evidence": 9.4,
            },
            sentence=self._words.sentence,
            onset_position=120,
            last_position=200,
        )
        monitors.record(
            PROJECT,
            name,
            Look(
                from_position=seen.position,
                from_label_position=seen.label_position,
                position=seen.position + 200,
                label_position=seen.label_position + 140,
                version=1,
                windows=[window],
                detector=DropDetector(floor=0.9, false_alarm_rate=0.001),
                quality=quality,
                alerts=[raised] if alert else [],
            ),
        )

    def decided(self) -> str:
        """Diagnose, compare remedies and choose one; gives the record's id."""
        words, catalog = self._words, self._context.service(Catalog)
        record = catalog.create(
            PROJECT,
            NewRecord(
                kind=RecordKind.REMEDY,
                subject=f"endpoint:{words.model}",
                problem=words.problem,
                task="classification",
            ),
        )
        catalog.update(
            PROJECT,
            record.id,
            RecordChange(
                evidence=_evidence(words),
                cause=words.cause,
                cause_probability={
                    words.cause: 0.962,
                    "covariate_drift": 0.021,
                    "concept_drift": 0.012,
                    "unknown": 0.005,
                },
                candidates=_candidates(words),
                choice=words.remedy,
                reason=words.reason,
                action={
                    "remedy": words.remedy,
                    "model": f"{words.model}@2",
                    "strategy": "canary",
                    words.fact: words.value,
                },
            ),
        )
        return record.id

    def closed(self, record_id: str, rollout_id: str) -> None:
        """Promote the version, close the alert, and write the outcome down."""
        self._context.service(Rollouts).promote(PROJECT, rollout_id, Reason(reason=self._words.value))
        self._follow()
        monitors = self._context.service(Monitors)
        for alert in monitors.alerts(PROJECT, open_only=True).items:
            monitors.close_alert(PROJECT, alert.id, CloseAlert(why=self._words.value))
        outcome = RecordOutcome(
            outcome={
                "result": "promoted",
                "version": 2,
                "n_before": 140,
                "score_before": 0.871,
                "score_before_low": 0.82,
                "score_before_high": 0.91,
                "n_after": 60,
                "score_after": 0.983,
                "score_after_low": 0.911,
                "score_after_high": 0.997,
                self._words.fact: self._words.value,
            }
        )
        self._context.service(Catalog).close(PROJECT, record_id, outcome)

    def _follow(self) -> None:
        endpoint = self._context.service(Endpoints).get(PROJECT, self._words.model)
        applied = AppliedPlan(project=PROJECT, endpoint=endpoint.name, revision=endpoint.revision)
        self._context.service(Endpoints).report(
            ServerReport(
                server=f"server-{endpoint.name}",
                url=f"http://127.0.0.1:7778/{endpoint.name}",
                endpoints=[applied],
            )
        )


def turn_once(context: Context, words: Words | None = None, *, close: bool = True) -> str:
    """Write the whole story, up to its end or to the middle of the canary; gives the record's id."""
    turn = Turn(context, words)
    turn.registered()
    turn.deployed()
    turn.answered(version=1, n=300)
    turn.watched()
    record_id = turn.decided()
    turn.registered()
    rollout_id = turn.deployed(version=2, decision_id=record_id)
    turn.answered(version=2, n=40)
    if close:
        turn.closed(record_id, rollout_id)
        turn.watched(mean=0.968, alert=False)
    return record_id


def _evidence(words: Words) -> list[Evidence]:
    return [
        Evidence(
            stage="reality",
            verdict="yes",
            sentence=(
                "The mean score is 0.871 on 140 labelled rows since the onset and was 0.972 on 216 held-out rows: a "
                "difference of -0.101 (95% interval -0.152 to -0.062); the drop is real"
            ),
            figures={
                "mean": 0.871,
                "low": 0.82,
                "high": 0.91,
                "n": 140,
                "reference": 0.972,
                "evidence": 9.41,
            },
        ),
        Evidence(
            stage="replay",
            verdict="same",
            sentence=(
                "64 rows frozen at registration give the same features and predictions in the live path: the code is "
                "innocent"
            ),
            figures={"n": 64, "largest_difference": 0.0},
        ),
        Evidence(
            stage="contract",
            verdict="kept",
            sentence="All 64 columns of 400 live rows keep the contract of the training data",
            figures={"n": 400},
        ),
        Evidence(
            stage=words.stage,
            verdict=words.verdict,
            sentence=words.finding,
            figures={"n": 140, "low": 0.056, "high": 0.162, words.fact: words.value, "classes": [0]},
        ),
    ]


def _candidates(words: Words) -> list[Candidate]:
    return [
        Candidate(
            name="wait",
            figures={"score": Figure(value=0.871, low=0.77, high=0.93, n=70)},
            gain=Figure(value=0.0, low=0.0, high=0.0, n=70),
        ),
        Candidate(
            name=words.remedy,
            figures={"score": Figure(value=0.971, low=0.902, high=0.992, n=70)},
            gain=Figure(value=930.0, low=310.0, high=1620.0, n=70),
            note=words.note,
        ),
        Candidate(
            name="recalibrate",
            figures={"score": Figure(value=0.857, low=0.757, high=0.921, n=70)},
            gain=Figure(value=-163.0, low=-520.0, high=170.0, n=70),
        ),
        Candidate(name="roll_back_model", admissible=False, note="there is no older version"),
    ]

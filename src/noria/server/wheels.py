"""Gather the wheel of each model: what the stations show, from the services."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from noria.catalog.entities import DecisionRecord
from noria.catalog.service import Catalog
from noria.core.context import Context
from noria.core.errors import NoriaError, NotFound
from noria.core.web.drawings import scale_over
from noria.data.message_sentences import retelling as data_messages
from noria.data.service import Datasets
from noria.decisions.words import CAUSE_WORDS, REMEDY_WORDS, in_words
from noria.monitoring.entities import Monitor, QualityReport
from noria.monitoring.service import Monitors
from noria.registry.entities import Model, ModelVersion
from noria.registry.service import Models
from noria.server.overview import (
    DataStation,
    DecisionStation,
    EndpointStation,
    MonitorStation,
    QualityRow,
    RolloutRow,
    RunStation,
    ShareRow,
    State,
    VersionStation,
    Wheel,
    decision_state,
    endpoint_state,
    monitor_state,
    run_state,
    worst,
)
from noria.serving.entities import Endpoint, Rollout, RolloutStatus
from noria.serving.service import Captures, Endpoints, Rollouts
from noria.tracking.service import Runs

_SHOWN_METRICS = 3
_PAGE = 1000
CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class WheelMaker:
    """Makes the wheels of one project's models."""

    context: Context
    project: str

    def wheels(self, models: Sequence[Model]) -> tuple[Wheel, ...]:
        """Gather a wheel for each model."""
        names = {model.name for model in models}
        endpoints: dict[str, list[Endpoint]] = {}
        for endpoint in self.context.service(Endpoints).list(self.project, limit=_PAGE).items:
            name = endpoint.model if endpoint.model in names else self._present_name(endpoint.model)
            endpoints.setdefault(name, []).append(endpoint)
        watching = self._watching()
        return tuple(self._wheel(model, endpoints.get(model.name, []), watching) for model in models)

    def _present_name(self, model: str) -> str:
        """Give the name of a model that an endpoint knows by the name that it had when it was deployed."""
        try:
            return self.context.service(Models).get(self.project, model).name
        except NotFound:
            return model

    def _watching(self) -> dict[str, tuple[Monitor, int]]:
        """Give the monitor of each endpoint, and how many alerts it has open."""
        monitors = self.context.service(Monitors)
        opened = monitors.alerts(self.project, open_only=True, limit=_PAGE).items
        n_alerts = Counter(alert.endpoint for alert in opened)
        return {m.endpoint: (m, n_alerts[m.endpoint]) for m in monitors.list(self.project).items}

    def _wheel(
        self, model: Model, endpoints: list[Endpoint], watching: dict[str, tuple[Monitor, int]]
    ) -> Wheel:
        endpoint = endpoints[0] if endpoints else None
        version = self._version(model, endpoint)
        data = self._data(version) if version else None
        run = self._run(version) if version else None
        shown = self._endpoint(endpoint, len(endpoints) - 1) if endpoint else None
        watched = self._monitor(*watching[endpoint.name]) if endpoint and endpoint.name in watching else None
        decision = self._decision(model, endpoint)
        stations = (data, run, _version_station(model, version), shown, watched, decision)
        states = tuple(station.state if station else State.NONE for station in stations)
        return Wheel(
            model=model.name,
            state=worst(states),
            states=states,
            data=data,
            run=run,
            version=_version_station(model, version),
            endpoint=shown,
            monitor=watched,
            decision=decision,
        )

    def _version(self, model: Model, endpoint: Endpoint | None) -> ModelVersion | None:
        if model.latest == 0:
            return None
        served = endpoint.version if endpoint else model.aliases.get(CHAMPION, model.latest)
        try:
            return self.context.service(Models).version(self.project, model.name, served)
        except NotFound:
            # It was deleted while it answers.
            return None

    def _data(self, version: ModelVersion) -> DataStation | None:
        ref = version.origin.dataset
        if ref is None:
            return None
        try:
            found = self.context.service(Datasets).resolve(self.project, ref)
        except NoriaError:
            # The reference is what was written down at registration; the data may be gone, or never have been here.
            return DataStation(state=State.NONE, ref=ref)
        return DataStation(
            state=State.GOOD,
            ref=found.ref,
            name=found.name,
            number=found.version,
            n_rows=found.n_rows,
            size_bytes=found.size_bytes,
            created_at=found.created_at,
            message=data_messages.find(found.message),
        )

    def _run(self, version: ModelVersion) -> RunStation | None:
        run_id = version.origin.run_id
        if run_id is None:
            return None
        try:
            run = self.context.service(Runs).get(self.project, run_id)
        except NotFound:
            # So may the run: nothing has to be looked after, and the card says what it is.
            return RunStation(state=State.NONE, run_id=run_id)
        took = (run.ended_at - run.started_at).total_seconds() if run.ended_at else None
        return RunStation(
            state=run_state(run.status),
            run_id=run.id,
            name=run.name,
            experiment=run.experiment,
            status=run.status,
            duration_s=took,
            metrics=tuple(sorted(run.metrics.items()))[:_SHOWN_METRICS],
        )

    def _endpoint(self, endpoint: Endpoint, n_others: int) -> EndpointStation:
        shares = self._shares(endpoint)
        rollout = self._rollout(endpoint)
        n_requests, n_errors = sum(s.n_requests for s in shares), sum(s.n_errors for s in shares)
        is_served = bool(endpoint.urls)
        return EndpointStation(
            state=endpoint_state(
                rollout=rollout.status if rollout else None,
                is_served=is_served,
                n_requests=n_requests,
                n_errors=n_errors,
            ),
            name=endpoint.name,
            shares=shares,
            n_requests=n_requests,
            n_errors=n_errors,
            is_served=is_served,
            rollout=_rollout_row(rollout) if rollout else None,
            n_others=n_others,
        )

    def _shares(self, endpoint: Endpoint) -> tuple[ShareRow, ...]:
        table = self.context.service(Captures).stats(self.project, endpoint.name)
        rows, start = [], 0.0
        for share in endpoint.shares:
            stats = table.of(share.version)
            rows.append(
                ShareRow(
                    version=share.version,
                    weight=share.weight,
                    start=start,
                    n_requests=stats.n_requests,
                    n_errors=stats.n_errors,
                    mean_latency_ms=stats.mean_latency_ms,
                )
            )
            start += share.weight
        return tuple(rows)

    def _rollout(self, endpoint: Endpoint) -> Rollout | None:
        if endpoint.rollout_id is None:
            return None
        with contextlib.suppress(NotFound):  # it may end between two reads
            return self.context.service(Rollouts).get(self.project, endpoint.rollout_id)
        return None

    def _monitor(self, monitor: Monitor, n_alerts: int) -> MonitorStation:
        monitors = self.context.service(Monitors)
        window = next(iter(monitors.windows(self.project, monitor.endpoint, limit=1).items), None)
        drift = window.drift if window else None
        return MonitorStation(
            state=monitor_state(
                n_alerts=n_alerts,
                n_drifted=drift.n_drifted if drift else None,
                has_looked=monitor.looked_at is not None,
            ),
            n_windows=monitor.n_windows,
            n_alerts=n_alerts,
            window_rows=window.n_rows if window else None,
            window_at=window.last_at if window else None,
            n_columns=drift.n_columns if drift else None,
            n_drifted=drift.n_drifted if drift else None,
            quality=_quality_row(monitor.quality) if monitor.quality else None,
        )

    def _decision(self, model: Model, endpoint: Endpoint | None) -> DecisionStation | None:
        subjects = [f"model:{model.name}", *([f"endpoint:{endpoint.name}"] if endpoint else [])]
        catalog = self.context.service(Catalog)
        found = [
            record
            for subject in subjects
            for record in catalog.list(self.project, subject=subject, limit=1).items
        ]
        return _decision_station(max(found, key=lambda record: record.id)) if found else None


def _version_station(model: Model, version: ModelVersion | None) -> VersionStation | None:
    if version is None:
        return None
    holdout = version.holdout
    return VersionStation(
        state=State.GOOD,
        ref=version.ref,
        version=version.version,
        latest=model.latest,
        aliases=tuple(version.aliases),
        metric=holdout.metric if holdout else None,
        metric_value=holdout.value if holdout else None,
        metric_n=holdout.n if holdout else None,
        created_at=version.created_at,
    )


def _rollout_row(rollout: Rollout) -> RolloutRow:
    return RolloutRow(
        from_version=rollout.from_version,
        to_version=rollout.to_version,
        step=rollout.step + 1,
        n_steps=len(rollout.steps),
        paused=rollout.status is RolloutStatus.PAUSED,
    )


def _quality_row(quality: QualityReport) -> QualityRow:
    scale = scale_over([quality.low, quality.high, quality.reference])
    return QualityRow(
        mean=quality.mean,
        low=quality.low,
        high=quality.high,
        n=len(quality.recent),
        reference=quality.reference,
        interval=scale.interval(quality.mean, quality.low, quality.high),
        reference_place=scale.place(quality.reference),
    )


def _decision_station(record: DecisionRecord) -> DecisionStation:
    is_closed = record.closed_at is not None
    return DecisionStation(
        state=decision_state(is_closed=is_closed, choice=record.choice),
        record_id=record.id,
        kind=record.kind,
        cause=in_words(CAUSE_WORDS, record.cause) if record.cause else None,
        choice=in_words(REMEDY_WORDS, record.choice) if record.choice else None,
        is_closed=is_closed,
        created_at=record.created_at,
    )

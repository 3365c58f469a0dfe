"""Render a batch in blue and green: two CronJobs that predict the same rows at the same times."""

from __future__ import annotations

from typing import Final

from noria.delivery.kubernetes.endpoint import environment, port_of
from noria.delivery.kubernetes.names import LONGEST_CRON_JOB
from noria.delivery.kubernetes.parts import (
    App,
    Part,
    container,
    literal,
    network_policy,
    pod,
    scratch,
    secret_variable,
)
from noria.delivery.kubernetes.specs import BatchSpec
from noria.delivery.kubernetes.text import Manifest
from noria.serving.batch.slot_entities import Slot

LONGEST_NAME: Final = LONGEST_CRON_JOB - len("-green")
"""Of what stands in front of the names of its objects."""

_JOB: Final = "JOB_NAME"
"""Variable with the name of a pod's job: what a CronJob makes for one time, whatever is tried again, is one job."""


def render_batch(spec: BatchSpec) -> list[Manifest]:
    """Give the manifests of a batch, in the order in which they are applied."""
    ports = [port_of(spec.home.url), *spec.ports_out]
    return [
        network_policy(_app(spec, f"{spec.name}-batch", None), port=None, ports_out=ports),
        *(_cron_job(_app(spec, f"{spec.name}-{slot.value}", slot), spec, slot) for slot in Slot),
    ]


def _app(spec: BatchSpec, name: str, slot: Slot | None) -> App:
    return App(
        name=name,
        instance=spec.name,
        component="batch",
        place=spec.place,
        annotations={"noria/batch": spec.batch},
        role={} if slot is None else {"noria/slot": slot.value},
    )


def _cron_job(app: App, spec: BatchSpec, slot: Slot) -> Manifest:
    job = {"backoffLimit": spec.retries, "template": _pod(app, spec, slot)}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": app.metadata(),
        "spec": {
            "schedule": spec.schedule,
            "timeZone": spec.timezone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": spec.late_s,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": {"labels": app.labels()}, "spec": job},
        },
    }


def _pod(app: App, spec: BatchSpec, slot: Slot) -> Part:
    volumes, mounts = scratch(spec.scratch)
    words = ["predict", spec.versions[slot.value], *spec.words, "--batch", spec.batch, "--slot", slot.value]
    main = container(
        app,
        args=[*map(literal, words), "--once", f"$({_JOB})"],
        env=[*environment(spec.home), _job_name(), *_secrets(spec)],
        resources=spec.resources,
        mounts=mounts,
    )
    return pod(app, [main], volumes, ends=True)


def _job_name() -> Part:
    path = "metadata.labels['batch.kubernetes.io/job-name']"
    return {"name": _JOB, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _secrets(spec: BatchSpec) -> list[Part]:
    named = {"NORIA_INPUT_URL": spec.input_url, "PGPASSWORD": spec.output_password}
    return [secret_variable(name, secret) for name, secret in named.items() if secret is not None]

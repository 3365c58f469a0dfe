"""MLflow's endpoints of scorers."""

from __future__ import annotations

from typing import Any

from noria.core.adapters import AdapterRequest
from noria.interop.mlflow.errors import MlflowError, invalid, missing
from noria.interop.mlflow.projects import check_active, get_experiment, numbers_of
from noria.interop.mlflow.times import millis
from noria.interop.mlflow.wire import Endpoints, Int32, Message, encode
from noria.tracking.experiment_entities import Experiment
from noria.tracking.reviewing.scorer_content import gateway_of, model_of, read_content
from noria.tracking.reviewing.scorer_entities import (
    NewSampling,
    NewScorer,
    Sampling,
    SamplingSearch,
    Scorer,
    ScorerSearch,
)
from noria.tracking.reviewing.scorers import ScorerNotFound, Scorers

endpoint = Endpoints()


class RegisterScorer(Message):
    """A scorer to keep, as JSON."""

    experiment_id: str = ""
    name: str = ""
    serialized_scorer: str = ""


class ListScorers(Message):
    """Of which experiments scorers are wanted; without any, of all."""

    experiment_id: str = ""
    experiment_ids: list[str] | None = None


class ScorerVersions(Message):
    """Whose versions are wanted."""

    experiment_id: str = ""
    name: str = ""


class OneScorer(Message):
    """A version of a scorer, or the scorer."""

    experiment_id: str = ""
    name: str = ""
    version: Int32 | None = None


class SetSampling(Message):
    """Which part of the traces a scorer shall judge."""

    experiment_id: str = ""
    name: str = ""
    sample_rate: float | None = None
    filter_string: str | None = None


class Samplings(Message):
    """Of which scorers it is asked what part of the traces they judge."""

    scorer_ids: list[str] | None = None


@endpoint(
    "POST", "3:scorers/register", RegisterScorer, required=("experiment_id", "name", "serialized_scorer")
)
def register_scorer(request: AdapterRequest, message: RegisterScorer) -> bytes:
    """Keep a version of a scorer; it is never run here, so those with code of their own are taken too."""
    experiment = _active(request, message.experiment_id)
    endpoint_name = gateway_of(model_of(read_content(message.serialized_scorer)))
    if endpoint_name is not None:
        raise missing(f"GatewayEndpoint not found (name='{endpoint_name}')")
    new = NewScorer(experiment=experiment.number, name=message.name, content=message.serialized_scorer)
    made = request.context.guarded(Scorers).register(experiment.project, new)
    return encode(
        {
            "version": made.version,
            "scorer_id": made.id,
            "experiment_id": str(made.experiment),
            "name": made.name,
            "serialized_scorer": made.content,
            "creation_time": millis(made.created_at),
        }
    )


@endpoint("GET", "3:scorers/list", ListScorers)
def list_scorers(request: AdapterRequest, message: ListScorers) -> bytes:
    """List the latest versions of scorers."""
    if message.experiment_id and message.experiment_ids is not None:
        raise invalid(
            "Cannot specify both 'experiment_id' and 'experiment_ids'. Use 'experiment_ids' to scope the"
            " query to multiple experiments, or 'experiment_id' to scope it to a single experiment."
        )
    numbers = None
    if message.experiment_id:
        numbers = [_active(request, message.experiment_id).number]
    elif message.experiment_ids is not None:
        numbers = numbers_of(message.experiment_ids)
    return _many(request.context.guarded(Scorers).search(ScorerSearch(experiments=numbers)).items)


@endpoint("GET", "3:scorers/versions", ScorerVersions, required=("experiment_id", "name"))
def list_scorer_versions(request: AdapterRequest, message: ScorerVersions) -> bytes:
    """List the versions of a scorer, oldest first."""
    experiment = _active(request, message.experiment_id)
    try:
        found = request.context.guarded(Scorers).versions(experiment.project, experiment.number, message.name)
    except ScorerNotFound as error:
        raise _missing(message) from error
    return _many(found.items)


@endpoint("GET", "3:scorers/get", OneScorer, required=("experiment_id", "name"))
def get_scorer(request: AdapterRequest, message: OneScorer) -> bytes:
    """Give a version of a scorer, or the latest one."""
    experiment = _active(request, message.experiment_id)
    try:
        found = request.context.guarded(Scorers).get(
            experiment.project, experiment.number, message.name, message.version
        )
    except ScorerNotFound as error:
        raise _missing(message) from error
    return encode({"scorer": _message(found)})


@endpoint("DELETE", "3:scorers/delete", OneScorer, required=("experiment_id", "name"))
def delete_scorer(request: AdapterRequest, message: OneScorer) -> None:
    """Delete a scorer, or a version of it."""
    experiment = _active(request, message.experiment_id)
    try:
        request.context.guarded(Scorers).delete(
            experiment.project, experiment.number, message.name, message.version
        )
    except ScorerNotFound as error:
        raise _missing(message) from error


@endpoint("PUT", "3:scorers/online-config", SetSampling, required=("experiment_id", "name", "sample_rate"))
def set_sampling(request: AdapterRequest, message: SetSampling) -> bytes:
    """Say which part of the traces a scorer shall judge."""
    experiment = _active(request, message.experiment_id)
    new = NewSampling(
        experiment=experiment.number,
        name=message.name,
        sample_rate=message.sample_rate or 0.0,
        filter=message.filter_string,
    )
    try:
        made = request.context.guarded(Scorers).set_sampling(experiment.project, new)
    except ScorerNotFound as error:
        raise _missing(message) from error
    return encode({"config": _sampling(made)})


@endpoint("GET", "3:scorers/online-configs", Samplings, required=("scorer_ids",))
def list_samplings(request: AdapterRequest, message: Samplings) -> bytes:
    """Tell which part of the traces scorers judge."""
    wanted = SamplingSearch(scorer_ids=message.scorer_ids or [])
    found = request.context.guarded(Scorers).samplings(wanted).items
    return encode({"configs": [_sampling(each) for each in found]})


def _active(request: AdapterRequest, experiment_id: str) -> Experiment:
    experiment = get_experiment(request, experiment_id)
    check_active(experiment)
    return experiment


def _missing(message: ScorerVersions | OneScorer | SetSampling) -> MlflowError:
    version = message.version if isinstance(message, OneScorer) else None
    which = "" if version is None else f" and version {version}"
    return missing(
        f"Scorer with name '{message.name}'{which} not found for experiment {message.experiment_id}."
    )


def _many(found: list[Scorer]) -> bytes:
    return encode({"scorers": [_message(each) for each in found]} if found else {})


def _message(scorer: Scorer) -> dict[str, Any]:
    return {
        "experiment_id": scorer.experiment,
        "scorer_name": scorer.name,
        "scorer_version": scorer.version,
        "serialized_scorer": scorer.content,
        "creation_time": millis(scorer.created_at),
        "scorer_id": scorer.id,
    }


def _sampling(found: Sampling) -> dict[str, Any]:
    told = {
        "online_scoring_config_id": found.id,
        "scorer_id": found.scorer_id,
        "sample_rate": found.sample_rate,
        "experiment_id": str(found.experiment),
    }
    return told if found.filter is None else {**told, "filter_string": found.filter}


ROUTES = endpoint.routes

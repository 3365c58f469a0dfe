"""Two versions that answer in turn at an endpoint: a small one where it is sure, a big one elsewhere."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from noria.core.errors import Conflict, Invalid, NotFound
from noria.core.operations import Service, operation
from noria.registry.entities import ServableVersion
from noria.registry.rules import check_consent, servable
from noria.registry.service import Models
from noria.registry.uses import use_version
from noria.serving.counts import read_counts
from noria.serving.entities import Cascade, Endpoint
from noria.serving.locate import EndpointRow, endpoint_row
from noria.serving.permissions import DEPLOY, READ_CAPTURES
from noria.serving.predictions import StatsTable, VersionStats
from noria.serving.rollouts.deployment import RolloutUnderWay
from noria.serving.rollouts.fitting import check_fits
from noria.serving.rollouts.passage import settle
from noria.serving.rollouts.sight import rollout_under_way
from noria.serving.tables import endpoints

_SURE_BY = ("confidence", "probabilities")
"""Outputs that tell how sure a version is."""


class TurnFigures(msgspec.Struct, frozen=True, kw_only=True):
    """How one of two versions that answer in turn fares.

    Attributes
    ----------
    share
        Of the requests that it answered; None before there are any.
    accuracy, mean_absolute_error
        Over the labelled rows that it answered: the first one's are those that it was sure of.
    """

    version: int
    n_requests: int
    share: float | None = None
    mean_latency_ms: float | None = None
    n_labelled: int = 0
    accuracy: float | None = None
    mean_absolute_error: float | None = None


class CascadeReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a cascade fares since it answers."""

    cascade: Cascade
    first: TurnFigures
    second: TurnFigures


class Cascades(Service):
    """Endpoints that answer in two phases."""

    @operation("PUT", "/projects/{project}/endpoints/{name}/cascade", needs=DEPLOY)
    def set(self, project: str, name: str, cascade: Cascade) -> Endpoint:
        """Let `first` answer what it is sure of, and `second` the rest.

        `second` is the version that answers at the endpoint now; `first` is another version of its model, which takes
        and gives the same.

        Raises
        ------
        RolloutUnderWay
            If a rollout of the endpoint has not ended.
        Invalid
            If `second` is not the version that answers, both are the same, or `first` does not tell how sure it is.
        SignatureDiffers
            If clients would notice which of the two answered.
        """
        if cascade.first == cascade.second:
            raise Invalid(f"Version {cascade.first} cannot be asked before itself")
        with self.context.database.read() as connection:
            found = endpoint_row(connection, project, name)
        models = self.sibling(Models)
        first = servable(models.resolve(project, f"{found.model}@{cascade.first}"))
        check_consent(first)
        check_fits(models, project, found, first)
        _check_tells(first)
        return self._write(project, name, found, cascade, {cascade.first: first.digest})

    @operation("GET", "/projects/{project}/endpoints/{name}/cascade", needs=READ_CAPTURES)
    def report(self, project: str, name: str) -> CascadeReport:
        """Tell how much each of two versions answered since they answer in turn, and how well.

        Raises
        ------
        NotFound
            If the endpoint has no cascade.
        """
        with self.context.database.read() as connection:
            found = endpoint_row(connection, project, name)
            if found.cascade is None:
                raise NotFound(
                    f"One version answers at the endpoint `{name}`",
                    hint=f"Let two answer in turn: `noria endpoints cascade {name} --first VERSION`",
                )
            stats = StatsTable(items=read_counts(connection, found.pk, found.revision))
        first, second = stats.of(found.cascade.first), stats.of(found.cascade.second)
        n_all = first.n_requests + second.n_requests
        return CascadeReport(
            cascade=found.cascade, first=_figures(first, n_all), second=_figures(second, n_all)
        )

    @operation("DELETE", "/projects/{project}/endpoints/{name}/cascade", needs=DEPLOY)
    def end(self, project: str, name: str) -> None:
        """Let the endpoint's version answer every request again. Nothing happens where there is no cascade."""
        with self.context.database.read() as connection:
            found = endpoint_row(connection, project, name)
        if found.cascade is not None:
            self._write(project, name, found, None, {})

    def _write(
        self,
        project: str,
        name: str,
        seen: EndpointRow,
        cascade: Cascade | None,
        digests: dict[int, str],
    ) -> Endpoint:
        with self.context.database.write(durable=True) as connection:
            place = endpoint_row(connection, project, name, lock=True)
            if (place.pk, place.revision) != (seen.pk, seen.revision):
                raise Conflict(f"The endpoint `{name}` changed in the meantime", hint="Try again")
            stored = rollout_under_way(connection, place.pk)
            if stored is not None:
                raise RolloutUnderWay(name, stored.rollout)
            if cascade is not None:
                _check_second(place, cascade)
                use_version(
                    connection,
                    self.context,
                    project=project,
                    model=place.model,
                    version=cascade.first,
                    endpoint=name,
                )
            connection.execute(
                sa.update(endpoints)
                .where(endpoints.c.pk == place.pk)
                .values(cascade=cascade, revision=place.revision + 1, digests={**place.digests, **digests})
            )
            settle(connection, self.context, project, name)
            return endpoint_row(connection, project, name).entity(project)


def _figures(stats: VersionStats, n_all: int) -> TurnFigures:
    return TurnFigures(
        version=stats.version,
        n_requests=stats.n_requests,
        share=stats.n_requests / n_all if n_all else None,
        mean_latency_ms=stats.mean_latency_ms,
        n_labelled=stats.n_labelled,
        accuracy=stats.accuracy,
        mean_absolute_error=stats.abs_error_sum / stats.n_measured if stats.n_measured else None,
    )


def _check_tells(first: ServableVersion) -> None:
    if not {output.name for output in first.signature.outputs} & set(_SURE_BY):
        raise Invalid(
            f"`{first.ref}` does not tell how sure it is: it has no output `probabilities` or `confidence`",
            hint="Register a classifier with probabilities, or a model with an output `confidence` of its own",
        )


def _check_second(place: EndpointRow, cascade: Cascade) -> None:
    answering = max(place.shares, key=lambda share: share.weight).version
    if cascade.second != answering:
        raise Invalid(
            f"Version {cascade.second} does not answer at the endpoint `{place.name}`: version {answering} does",
            hint=f"Deploy it first: `noria deploy {place.model}@{cascade.second} --to {place.name}`",
        )

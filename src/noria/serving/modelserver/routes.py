"""Which version answers a request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from noria.core.errors import NotFound
from noria.registry.entities import ServableVersion
from noria.registry.runtimes.port import LoadedModel
from noria.serving.modelserver.fast import Numbers
from noria.serving.modelserver.lanes import Lane
from noria.serving.plans import PlannedCascade, PlannedKey
from noria.serving.repairs.applying import Repairer


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedVersion:
    """A version that is ready to answer.

    Attributes
    ----------
    lane
        Runs the model.
    numbers
        What it takes, when that is nothing but decimal numbers.
    """

    entity: ServableVersion
    model: LoadedModel
    lane: Lane = field(init=False)
    numbers: Numbers | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", Lane(self.model))
        object.__setattr__(self, "numbers", Numbers.of(self.entity.signature))


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An endpoint as this server serves it. Replaced as a whole, never changed.

    Attributes
    ----------
    revision
        Of the plan that it follows.
    versions
        All that are loaded.
    shares
        Version and weight, newest version first; the weights sum to 1.
    guarded
        Whether a request has to carry one of the keys.
    keys
        Hash of the secret → key.
    capture_share
        Share of answered requests that is captured.
    cascade
        Versions that answer in turn, both of them loaded.
    repair
        Puts inputs right before a version sees them.
    """

    project: str
    endpoint: str
    revision: int
    versions: Mapping[int, LoadedVersion]
    shares: Sequence[tuple[int, float]]
    guarded: bool = False
    keys: Mapping[str, PlannedKey] = field(default_factory=dict)
    capture_share: float = 1.0
    cascade: PlannedCascade | None = None
    repair: Repairer | None = None

    @property
    def newest(self) -> LoadedVersion:
        """The newest of the versions that answer."""
        return self.versions[self.shares[0][0]]

    def captures(self, identity: str) -> bool:
        """Tell whether an answered request is to be captured; equal ids get equal answers."""
        share = self.capture_share
        return share >= 1 or falls_under(share, "capture", self.endpoint, identity)

    def choose(self, key: str) -> LoadedVersion:
        """Give the version that answers requests of this key.

        The key's hash is a number in [0, 1), and the newest version answers what lies below its weight. So equal keys
        get equal versions, and a key that the newest version answers once stays with it while its weight grows.
        """
        if len(self.shares) == 1:
            return self.versions[self.shares[0][0]]
        point = _point(self.project, self.endpoint, key)
        for version, weight in self.shares:
            point -= weight
            if point < 0:
                return self.versions[version]
        return self.versions[self.shares[-1][0]]

    def before(self, chosen: LoadedVersion) -> LoadedVersion | None:
        """Give the version that is asked before the chosen one; None when there is none."""
        cascade = self.cascade
        if cascade is None or chosen.entity.version != cascade.second:
            return None
        return self.versions[cascade.first]

    def version(self, number: str) -> LoadedVersion:
        """Give a loaded version by its number.

        Raises
        ------
        NotFound
            If it is not loaded.
        """
        found = self.versions.get(int(number)) if number.isdecimal() and len(number) < 10 else None
        if found is None:
            loaded = ", ".join(str(version) for version in sorted(self.versions))
            raise NotFound(
                f"The endpoint `{self.endpoint}` serves no version `{number[:20]}`",
                hint=f"It serves {loaded}",
            )
        return found


Routes = Mapping[str, Route]
"""Name in addresses → route."""


def address_name(project: str, endpoint: str, home: str) -> str:
    """Give the name by which addresses know an endpoint: bare in the server's own project, `project:endpoint` else."""
    return endpoint if project == home else f"{project}:{endpoint}"


def normalised(weights: Mapping[int, float]) -> list[tuple[int, float]]:
    """Give shares that sum to 1, newest version first; the newest alone when all weights are 0."""
    total = sum(weights.values())
    ordered = sorted(weights, reverse=True)
    if total <= 0:
        return [(ordered[0], 1.0)]
    return [(version, weights[version] / total) for version in ordered if weights[version] > 0]


def falls_under(share: float, purpose: str, endpoint: str, identity: str) -> bool:
    """Tell whether a request belongs to a share of all; equal ids get equal answers, and each purpose its own."""
    if share >= 1 or share <= 0:
        return share > 0
    return _point(purpose, endpoint, identity) < share


def _point(project: str, endpoint: str, key: str) -> float:
    text = f"{project}\0{endpoint}\0{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64

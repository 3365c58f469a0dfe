"""Follow the plans of the control server: load what they name, switch over, let go of what they no longer name."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from noria.core.errors import Conflict, Corrupt, NoriaError, Unauthenticated, Unavailable, unknown_name
from noria.core.serialisation import to_json
from noria.serving.endpoints import Endpoints
from noria.serving.modelserver.link import Link
from noria.serving.modelserver.routes import LoadedVersion, Route, Routes, address_name, normalised
from noria.serving.modelserver.store import ModelStore
from noria.serving.plans import AppliedPlan, EndpointPlan, PlannedCascade, PlannedVersion, PlanSet
from noria.serving.repairs.applying import Repairer

View = Callable[[EndpointPlan], EndpointPlan]

POLL_S = 0.3

_log = logging.getLogger("noria.serving.follower")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """How this model server calls itself.

    Attributes
    ----------
    home
        Project whose endpoints are addressed by their bare names.
    only
        Serve this endpoint (project, name) alone; None for all.
    """

    home: str
    only: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Followed:
    """A plan, and how far it is followed."""

    plan: EndpointPlan
    revision: int
    failed: Mapping[int, str]


class Follower:
    """Keeps `routes` as the plans say, in a thread of its own.

    A route is replaced when all that its plan names is loaded or known to be impossible. Requests that are being
    answered keep the version that they began with, which is let go of when the last of them has ended.

    Parameters
    ----------
    plans_file
        Keeps the newest plans, so that this server can start while the control server is away.
    tell
        Told what was made of the plans, as often as that changes.
    view
        Gives what of a plan is to be followed.
    """

    def __init__(
        self,
        *,
        link: Link,
        store: ModelStore,
        plans_file: Path,
        identity: Identity,
        tell: Callable[[list[AppliedPlan]], None],
        view: View = lambda plan: plan,
    ) -> None:
        self._link = link
        self._store = store
        self._plans_file = plans_file
        self._identity = identity
        self._tell_others = tell
        self._view = view
        self._routes: Routes = {}
        self._loaded: dict[str, LoadedVersion] = {}
        self._followed: dict[tuple[str, str], _Followed] = {}
        self._known = PlanSet(etag="")
        self._unfinished = False
        self._told: list[AppliedPlan] | None = None
        self._ready = False
        self._stopping = threading.Event()
        self._has_looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="noria-follower", daemon=True)

    @property
    def routes(self) -> Routes:
        """What is served now; a value that is never changed, only replaced."""
        return self._routes

    def find(self, name: str) -> Route:
        """Give the route of an endpoint by the name that stands in the address.

        Parameters
        ----------
        name
            `endpoint` in this server's own project, `project:endpoint` in any.

        Raises
        ------
        NotFound
            If no plan names it; the hint has the near name.
        Unavailable
            If none of its versions can be served, or this server has no plans yet; the message says why.
        """
        address = name.removeprefix(f"{self._identity.home}:")
        found = self._routes.get(address)
        if found is not None:
            return found
        for key, followed in list(self._followed.items()):
            if self._name(*key) == address:
                why = "; ".join(followed.failed.values()) or "its versions are still being fetched"
                raise Unavailable(f"The endpoint `{address}` cannot be served: {why}")
        if not self._ready:
            raise Unavailable("This model server is still starting", hint="Ask again in a moment")
        raise unknown_name("endpoint", name[:200], self._routes, see="noria endpoints list")

    def plan(self, project: str, endpoint: str) -> tuple[EndpointPlan, int] | None:
        """Give the plan of an endpoint, and the newest revision that is followed; None when there is none."""
        found = self._followed.get((project, endpoint))
        return None if found is None else (found.plan, found.revision)

    def only(self) -> Route | None:
        """Give the one route that there is; None when there are none or several."""
        routes = self._routes
        return next(iter(routes.values())) if len(routes) == 1 else None

    @property
    def is_ready(self) -> bool:
        """Whether plans were followed once, that of the only endpoint among them."""
        return self._ready

    @property
    def has_looked(self) -> bool:
        """Whether it serves what it can for now: plans were followed, or could not be had."""
        return self._ready or self._has_looked.is_set()

    def start(self) -> None:
        """Take up the plans that were kept, and begin to follow."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def step(self) -> None:
        """Ask for the plans once, follow them, and report."""
        plans = self._ask()
        if plans is not None:
            self._known = plans
            self._follow(plans)
            _write_atomically(self._plans_file, to_json(plans))
        elif self._unfinished:
            self._follow(self._known)
        self._tell()

    def _run(self) -> None:
        self._take_up()
        while not self._stopping.is_set():
            try:
                self.step()
            except Exception as error:  # noqa: BLE001 - what serves now goes on; the next look may do better
                self._note(error)
            self._has_looked.set()
            self._stopping.wait(POLL_S)

    def _take_up(self) -> None:
        """Serve what was kept on disk, without asking anyone."""
        try:
            kept = msgspec.json.decode(self._plans_file.read_bytes(), type=PlanSet)
        except (FileNotFoundError, msgspec.DecodeError):
            return
        # Not taken for the newest: the etag stays empty, so that the control server sends its own.
        self._known = PlanSet(etag="", plans=kept.plans)
        try:
            self._follow(self._known)
        except Exception as error:  # noqa: BLE001 - the control server may know better plans
            self._note(error)

    def _ask(self) -> PlanSet | None:
        found = self._link.service(Endpoints).plans(etag=self._known.etag)
        return None if found.plans is None else found

    def _follow(self, plans: PlanSet) -> None:
        seen = (self._view(plan) for plan in plans.plans or [] if self._is_mine(plan))
        wanted = {(plan.project, plan.endpoint): plan for plan in seen}
        self._unfinished = False
        for key, plan in wanted.items():
            known = self._followed.get(key)
            if known is None or known.plan != plan or known.revision != plan.revision:
                self._follow_one(plan)
        for key in [key for key in self._followed if key not in wanted]:
            self._drop(*key)
        digests = {version.digest for plan in wanted.values() for version in plan.versions}
        self._loaded = {digest: loaded for digest, loaded in self._loaded.items() if digest in digests}
        self._store.keep_only(digests)
        # Kept plans may be older than the one endpoint that this server is for.
        self._ready = self._identity.only is None or self._identity.only in self._followed

    def _is_mine(self, plan: EndpointPlan) -> bool:
        return self._identity.only in (None, (plan.project, plan.endpoint))

    def _follow_one(self, plan: EndpointPlan) -> None:
        key = (plan.project, plan.endpoint)
        loaded: dict[int, LoadedVersion] = {}
        failed: dict[int, str] = {}
        for planned in plan.versions:
            try:
                loaded[planned.version] = self._load(plan, planned)
            except (Unavailable, Unauthenticated, Corrupt) as error:
                # The bytes cannot be had now, which says nothing about the version: tried again at the next look.
                self._unfinished = True
                self._note(error)
            except NoriaError as error:
                failed[planned.version] = error.message
                _log.error("version.not_loaded", extra={"version": planned.version, "reason": error.message})
        complete = len(loaded) + len(failed) == len(plan.versions)
        before = self._followed.get(key)
        if complete or before is None:
            self._switch(plan, loaded)
        revision = plan.revision if complete else (before.revision if before else 0)
        self._followed[key] = _Followed(plan, revision, failed)

    def _load(self, plan: EndpointPlan, planned: PlannedVersion) -> LoadedVersion:
        found = self._loaded.get(planned.digest)
        if found is not None and found.entity.version == planned.version:
            return found
        entity = self._store.find(planned.digest)
        if entity is None or (entity.model, entity.version) != (plan.model, planned.version):
            entity = self._store.fetch(self._link.workspace(), plan.project, plan.model, planned.version)
            if entity.digest != planned.digest:
                # The model was renamed, and another one has its name now.
                raise Conflict(
                    f"`{entity.ref}` is not what the endpoint `{plan.endpoint}` was deployed with",
                    hint=f"Deploy the model under the name that it has now: `noria deploy … --to {plan.endpoint}`",
                    details={"expected": planned.digest, "actual": entity.digest},
                )
        loaded = self._store.load(entity)
        self._loaded[planned.digest] = loaded
        _log.info("version.loaded", extra={"version": entity.ref})
        return loaded

    def _switch(self, plan: EndpointPlan, loaded: Mapping[int, LoadedVersion]) -> None:
        if not plan.versions:
            self._unroute(plan.project, plan.endpoint)
        if not loaded:
            return
        weights = {planned.version: planned.weight for planned in plan.versions if planned.version in loaded}
        route = Route(
            project=plan.project,
            endpoint=plan.endpoint,
            revision=plan.revision,
            versions=dict(loaded),
            shares=normalised(weights),
            guarded=plan.guarded,
            keys={key.hash: key for key in plan.keys},
            capture_share=plan.capture_share,
            cascade=plan.cascade if _has_both(plan.cascade, loaded) else None,
            repair=Repairer(plan.repair) if plan.repair else None,
        )
        self._routes = {**self._routes, self._name(plan.project, plan.endpoint): route}

    def _drop(self, project: str, endpoint: str) -> None:
        del self._followed[project, endpoint]
        self._unroute(project, endpoint)

    def _unroute(self, project: str, endpoint: str) -> None:
        gone = self._name(project, endpoint)
        self._routes = {name: route for name, route in self._routes.items() if name != gone}

    def _name(self, project: str, endpoint: str) -> str:
        return address_name(project, endpoint, self._identity.home)

    def _tell(self) -> None:
        applied = _applied(list(self._followed.values()))
        if applied != self._told:
            self._tell_others(applied)
            self._told = applied

    def _note(self, error: Exception) -> None:
        if isinstance(error, Unavailable):
            _log.debug("follower.waits", extra={"reason": error.message})
        else:
            _log.error("follower.failed", exc_info=error)


def _has_both(cascade: PlannedCascade | None, loaded: Mapping[int, LoadedVersion]) -> bool:
    return cascade is not None and {cascade.first, cascade.second} <= loaded.keys()


def _applied(followed: Sequence[_Followed]) -> list[AppliedPlan]:
    return [
        AppliedPlan(
            project=each.plan.project,
            endpoint=each.plan.endpoint,
            revision=each.revision,
            failed={str(version): reason for version, reason in each.failed.items()},
        )
        for each in followed
    ]


def _write_atomically(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)

"""What a service works with: the backends of the workspace and the caller of this one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from noria.core.admission import guarded
from noria.core.clock import Clock
from noria.core.config import Settings
from noria.core.objects.store import ObjectStore
from noria.core.operations import Service
from noria.core.permissions import Principal

if TYPE_CHECKING:
    from noria.core.database.engine import Database

S = TypeVar("S", bound=Service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Backends (which live as long as the workspace is open) and principal (which lives for one request)."""

    settings: Settings
    database: Database
    objects: ObjectStore
    clock: Clock
    principal: Principal

    def service(self, cls: type[S]) -> S:
        """Make a service that acts for this context's principal."""
        return cls(self)

    def guarded(self, cls: type[S]) -> S:
        """Make a service that asks for each operation's permission before it is called."""
        return guarded(cls(self))

    def acting_as(self, principal: Principal) -> Context:
        """Give the same backends on behalf of another caller."""
        # Made for each request: `dataclasses.replace` would look its fields up each time.
        return Context(
            settings=self.settings,
            database=self.database,
            objects=self.objects,
            clock=self.clock,
            principal=principal,
        )

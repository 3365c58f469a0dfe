"""What pages read beyond the operations: where rolling an endpoint back would lead."""

from __future__ import annotations

from dataclasses import dataclass

from noria.core.admission import admit
from noria.core.operations import Service
from noria.serving.locate import endpoint_row
from noria.serving.permissions import READ_ENDPOINTS
from noria.serving.sight import standing_rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingBack:
    """What rolling back would do.

    Attributes
    ----------
    model
        Whose versions they are.
    from_version, to_version
        The version that would go, and the one that would answer every request.
    is_abort
        Whether a rollout under way would be ended, rather than another one made.
    """

    model: str
    from_version: int
    to_version: int
    is_abort: bool


class EndpointReads(Service):
    """Reads for pages; no operations: programs have `Endpoints`."""

    def going_back(self, project: str, name: str) -> GoingBack | None:
        """Tell where rolling an endpoint back would lead; None where there is no way back."""
        admit(self.context.principal, READ_ENDPOINTS, project)
        with self.context.database.read() as connection:
            place = endpoint_row(connection, project, name)
            rollout = standing_rollout(connection, place.pk).rollout
        if rollout.from_version is None:
            return None
        return GoingBack(
            model=place.model,
            from_version=rollout.to_version,
            to_version=rollout.from_version,
            is_abort=rollout.ended_at is None,
        )

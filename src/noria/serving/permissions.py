"""What callers may do with endpoints, rollouts and captured predictions."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_ENDPOINTS = Permission(name="endpoints.read")
DEPLOY = Permission(name="endpoints.deploy", role=Role.ENGINEER)
END_REPAIRS = Permission(name="endpoints.end_repairs", role=Role.ENGINEER)
"""To take inputs as they are sent again: what the job that looks after repairs may do, and no more."""
APPROVE = Permission(name="rollouts.approve", role=Role.SCIENTIST)
"""To agree to a rollout, where the rollout asks for a role that the caller has."""
READ_CAPTURES = Permission(name="captures.read")
GIVE_FEEDBACK = Permission(name="captures.label", role=Role.SCIENTIST)
SERVE = Permission(name="endpoints.serve", role=Role.ENGINEER, key=True)
"""What a model server needs: it names an address of the machine it runs on and writes what it captured."""
REPLAY = Permission(name="endpoints.replay", role=Role.SCIENTIST, key=True)
"""To send rows through the live path without their being captured, and to see the features on the way."""

"""What is installed where a model is registered, kept with its version: from it the lock of a package is resolved."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from noria.tracking.capture import shared_looks
from noria.tracking.environment import environment_lock
from noria.tracking.settings import TrackingSection

if TYPE_CHECKING:
    from noria.core.workspace import Workspace


def keep_environment(workspace: Workspace) -> str | None:
    """Store the list of installed distributions as a run captures it, and give its digest.

    None when `[tracking.capture]` says that none is captured.
    """
    if not workspace.settings.section("tracking", TrackingSection).capture.environment:
        return None
    text = shared_looks().redactor().code(environment_lock(sys.path))
    return workspace.objects().put_bytes(text.encode(errors="replace")).digest

"""What callers may do with traces, assessments, issues and evaluation data sets."""

from __future__ import annotations

from noria.core.permissions import Permission, Role

READ_TRACES = Permission(name="traces.read")
WRITE_TRACES = Permission(name="traces.write", role=Role.SCIENTIST)
FIND_TRACES = Permission(name="traces.find", roleless=True)
"""To look for traces in all projects at once; what is found is only what the caller may read."""

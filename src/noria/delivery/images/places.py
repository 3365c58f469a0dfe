"""Where things are in the images; manifests for Kubernetes rely on it."""

from __future__ import annotations

from typing import Final

USER: Final = 10001
"""User and group that programs run as."""

HOME: Final = "/var/lib/noria"
"""Home of that user, and the one folder besides /tmp that programs write to."""

PACKAGE_FOLDER: Final = "/opt/noria-package"
CONFIG_FOLDER: Final = "/etc/noria"
NORIA_FOLDER: Final = "/opt/noria"
MODEL_FOLDER: Final = "/opt/model"
TOKEN_FILE: Final = "/run/secrets/noria-token"  # noqa: S105 - a path
"""Where podman and Docker put a secret of the name `noria-token`."""

SECRETS_FOLDER: Final = "/run/secrets/noria"
"""Where manifests have the secrets of a pod put."""

MODEL_PORT: Final = 8080

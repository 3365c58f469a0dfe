"""The services of this capability, each in a module of its own."""

from noria.serving.captures import Captures
from noria.serving.endpoints import Endpoints
from noria.serving.rollouts import Rollouts

__all__ = ["Captures", "Endpoints", "Rollouts"]

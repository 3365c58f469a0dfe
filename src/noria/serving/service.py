"""The services of this capability, each in a module of its own."""

from noria.serving.captures import Captures
from noria.serving.cascades import Cascades
from noria.serving.endpoints import Endpoints
from noria.serving.keys import EndpointKeys
from noria.serving.repairs.service import InputRepairs
from noria.serving.rollouts.service import Rollouts
from noria.serving.service_logs import ServiceLogs

__all__ = ["Captures", "Cascades", "EndpointKeys", "Endpoints", "InputRepairs", "Rollouts", "ServiceLogs"]

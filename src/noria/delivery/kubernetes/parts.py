"""The parts that manifests are put together from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from noria.delivery.images.places import HOME, USER
from noria.delivery.kubernetes.names import SecretKey
from noria.delivery.kubernetes.quantities import Resources
from noria.delivery.kubernetes.specs import Place, Scale
from noria.delivery.kubernetes.text import Manifest

DNS_PORT: Final = 53
_NORIA: Final = {"app.kubernetes.io/name": "noria"}

Part = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One kind of pod, and the name and labels that its objects share.

    Attributes
    ----------
    instance, component
        By which Services and policies find the pods.
    annotations
        Of every object; for people.
    role
        Further labels that tell pods of one component from each other.
    """

    name: str
    instance: str
    component: str
    place: Place
    annotations: Mapping[str, str]
    role: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def selector(self) -> Part:
        """Give the labels that tell its pods from all others in the namespace."""
        return {
            **_NORIA,
            "app.kubernetes.io/instance": self.instance,
            "app.kubernetes.io/component": self.component,
        }

    def labels(self) -> Part:
        """Give the labels of its objects and pods."""
        return {**self.selector(), "app.kubernetes.io/managed-by": "noria", **self.role, **self.place.labels}

    def metadata(self, name: str | None = None) -> Part:
        """Give the head of an object."""
        found: Part = {
            "name": name or self.name,
            "namespace": self.place.namespace,
            "labels": self.labels(),
        }
        return {**found, "annotations": dict(self.annotations)} if self.annotations else found


def service(app: App, *, port: int) -> Manifest:
    """Give the stable address of an app's pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": app.metadata(),
        "spec": {
            "type": "ClusterIP",
            "selector": app.selector(),
            "ports": [{"name": "http", "port": port, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def deployment(app: App, pod: Part, *, scale: Scale, at_once: bool = False) -> Manifest:
    """Give what keeps an app's pods running.

    Parameters
    ----------
    at_once
        Whether old pods end before new ones start, since two cannot share a volume.
    """
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    spec: Part = {} if scale.is_automatic else {"replicas": scale.replicas}
    spec |= {
        "revisionHistoryLimit": 5,
        "strategy": {"type": "Recreate"} if at_once else rolling,
        "selector": {"matchLabels": app.selector()},
        "template": pod,
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": app.metadata(), "spec": spec}


def autoscaler(app: App, scale: Scale) -> Iterable[Manifest]:
    """Give what chooses the number of pods, if something shall."""
    if not scale.is_automatic:
        return
    target = {"type": "Utilization", "averageUtilization": scale.cpu_target}
    yield {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": app.metadata(),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": app.name},
            "minReplicas": scale.replicas,
            "maxReplicas": scale.most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def disruption_budget(app: App, scale: Scale) -> Iterable[Manifest]:
    """Let nodes be emptied one pod at a time; of a single pod this would mean never."""
    if scale.replicas < 2:
        return
    yield {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": app.metadata(),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": app.selector()}},
    }


def network_policy(
    app: App, *, port: int | None, allow_from: Sequence[Part] = (), ports_out: Sequence[int] = ()
) -> Manifest:
    """Close an app's pods to all but the peers named, and to all ports outside but those named and names' lookup.

    Parameters
    ----------
    port
        On which it is asked; None when nobody asks it.
    """
    asked = [{"from": list(allow_from), "ports": [{"protocol": "TCP", "port": port}]}]
    lookups = [{"protocol": each, "port": DNS_PORT} for each in ("UDP", "TCP")]
    ports = [{"protocol": "TCP", "port": each} for each in sorted(set(ports_out))]
    out = [{"ports": lookups}, {"ports": ports}] if ports else []
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": app.metadata(),
        "spec": {
            "podSelector": {"matchLabels": app.selector()},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": asked if port is not None else [],
            "egress": out,
        },
    }


def same_namespace() -> Part:
    """Name all pods of the namespace, as a peer of a policy."""
    return {"podSelector": {}}


def namespace_peer(name: str) -> Part:
    """Name all pods of another namespace, as a peer of a policy."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def noria_peer() -> Part:
    """Name all pods of Noria in the namespace, those of endpoints and batches too, as a peer of a policy."""
    return {"podSelector": {"matchLabels": _NORIA}}


def pod(
    app: App,
    containers: Sequence[Part],
    volumes: Sequence[Part],
    *,
    first: Sequence[Part] = (),
    grace_s: int = 30,
    spread: bool = False,
    annotations: Mapping[str, str] | None = None,
    ends: bool = False,
) -> Part:
    """Give a pod that holds no right it does not need.

    Parameters
    ----------
    first
        Containers that run to their end before the others start.
    grace_s
        How long a pod that is told to stop may take.
    spread
        Whether pods are kept on different nodes as far as that goes.
    ends
        Whether its program comes to an end by itself, and is started again only after a failure.
    """
    metadata: Part = {"labels": app.labels()}
    if annotations:
        metadata["annotations"] = dict(annotations)
    spec: Part = {
        # A Service called `noria-…` would be told as variables `NORIA_…`, which Noria takes for misspelt settings.
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": grace_s,
    }
    if ends:
        # In the same pod, whose disk has what was done so far.
        spec["restartPolicy"] = "OnFailure"
    if app.place.service_account is not None:
        spec["serviceAccountName"] = app.place.service_account
    if app.place.pull_secret is not None:
        spec["imagePullSecrets"] = [{"name": app.place.pull_secret}]
    if spread:
        spec["topologySpreadConstraints"] = [_on_different_nodes(app)]
    if first:
        spec["initContainers"] = list(first)
    return {"metadata": metadata, "spec": {**spec, "containers": list(containers), "volumes": list(volumes)}}


def _on_different_nodes(app: App) -> Part:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": app.selector()},
    }


def container(
    app: App,
    *,
    args: Sequence[str],
    env: Sequence[Part],
    resources: Resources,
    mounts: Sequence[Part],
    command: Sequence[str] = (),
    name: str | None = None,
    more: Part | None = None,
) -> Part:
    """Give a container that cannot write to its image or gain rights."""
    found: Part = {"name": name or app.component, "image": app.place.image}
    if command:
        found["command"] = list(command)
    return {
        **found,
        "args": list(args),
        "env": list(env),
        **(more or {}),
        "resources": {
            "requests": {"cpu": resources.cpu.request, "memory": resources.memory.request},
            "limits": {"cpu": resources.cpu.limit, "memory": resources.memory.limit},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": list(mounts),
    }


def listening(port: int, *, live: str, ready: str) -> Part:
    """Give the port of a container, and the probes that ask there.

    A pod that is told to stop goes on for five seconds, in which those who route requests hear of it.
    """

    def asks(path: str, **limits: int) -> Part:
        return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 5, **limits}

    return {
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "startupProbe": asks(live, periodSeconds=2, failureThreshold=150),
        "livenessProbe": asks(live, periodSeconds=10, failureThreshold=6),
        "readinessProbe": asks(ready, periodSeconds=5, failureThreshold=2),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "5"]}}},
    }


def literal(text: str) -> str:
    """Write a text so that a container gets it as it is: `$(…)` would be filled in."""
    return text.replace("$", "$$")


def variable(name: str, value: str) -> Part:
    """Give a variable of a container."""
    return {"name": name, "value": literal(value)}


def secret_variable(name: str, secret: SecretKey) -> Part:
    """Give a variable of a container whose value a Secret holds."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": secret.key}}}


def scratch(size: str) -> tuple[list[Part], list[Part]]:
    """Give the volumes of a pod that it writes to and that end with it, and where they are."""
    volumes = [
        {"name": "home", "emptyDir": {"sizeLimit": size}},
        {"name": "tmp", "emptyDir": {"sizeLimit": size}},
    ]
    return volumes, [mount("home", HOME), mount("tmp", "/tmp")]  # noqa: S108 - the pod's own


def secret_file(volume: str, secret: SecretKey, folder: str, file: str) -> tuple[Part, Part]:
    """Give a value of a Secret as a file that the pod's user may read, and where it is."""
    items = [{"key": secret.key, "path": file}]
    held = {"secretName": secret.name, "items": items, "defaultMode": 0o440}
    return {"name": volume, "secret": held}, mount(volume, folder, read_only=True)


def mount(volume: str, path: str, *, read_only: bool = False) -> Part:
    """Say where a volume is in a container."""
    found: Part = {"name": volume, "mountPath": path}
    return {**found, "readOnly": True} if read_only else found

"""What must hold between the manifests of one rendering, where no schema can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Manifest = Mapping[str, Any]

_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_FACTORS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}


TRICKS = [
    *(
        "no",
        "On",
        "y",
        "N",
        "~",
        "null",
        "NULL",
        "",
        " ",
        "true",
        "yes ",
        "0o17",
        "017",
        "0x1F",
        "1e3",
        "1_000",
    ),
    *(
        ".5",
        "1.",
        "+1",
        "-",
        "--- ",
        "...",
        "- a",
        "a: b",
        "a #b",
        "#",
        "&a",
        "*a",
        "!!int 1",
        "%TAG",
        "@",
        "`",
    ),
    *(
        "1:30",
        "12:30:45",
        "2001-01-01",
        "=",
        "<<",
        "? a",
        "[",
        "{}",
        "|",
        ">",
        "'",
        '"',
        "\\",
        "\t",
        "a\nb",
        "\n",
    ),
    *(
        "a\n  b\n",
        " a\n",
        "a\n\n",
        "é",
        "\x85",
        "\u2028",
        "\ufeff",
        "🐘",
        "\x00",
        ".inf",
        ".NaN",
        "a:",
        "a\r\nb\n",
    ),
    *("x" * 20_000, "a b " * 5_000),
]
"""Texts that some reader of YAML takes for something else when they stand bare."""


def check_manifests(manifests: Sequence[Manifest]) -> None:
    """Hold manifests to each other: names, selectors, ports, volumes, limits, rights."""
    heads = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(set(heads)) == len(heads)
    templates = {(kind, name): pod for kind, name, pod in pods(manifests)}
    for pod in templates.values():
        _check_pod(pod)
    for each in manifests:
        assert _LABEL.fullmatch(each["metadata"]["name"]), each["metadata"]["name"]
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"]
        _check_one(each, templates, manifests)


def pods(manifests: Sequence[Manifest]) -> Iterator[tuple[str, str, Any]]:
    """Give the template of each kind of pod, with kind and name of what makes it."""
    for each in manifests:
        if each["kind"] == "Deployment":
            yield "Deployment", each["metadata"]["name"], each["spec"]["template"]
        elif each["kind"] == "CronJob":
            assert len(each["metadata"]["name"]) <= 52
            yield "CronJob", each["metadata"]["name"], each["spec"]["jobTemplate"]["spec"]["template"]


def _check_one(each: Manifest, templates: Mapping[Any, Any], manifests: Sequence[Manifest]) -> None:
    spec = each.get("spec", {})
    match each["kind"]:
        case "Deployment":
            assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        case "Service":
            ports = {port["name"] for pod in _chosen(spec["selector"], templates) for port in _ports(pod)}
            assert {port["targetPort"] for port in spec["ports"]} <= ports
        case "NetworkPolicy":
            chosen = list(_chosen(spec["podSelector"]["matchLabels"], templates))
            asked = {port["port"] for rule in spec["ingress"] for port in rule["ports"]}
            assert asked == {port["containerPort"] for pod in chosen for port in _ports(pod)}
            assert spec["policyTypes"] == ["Ingress", "Egress"]
        case "PodDisruptionBudget":
            assert list(_chosen(spec["selector"]["matchLabels"], templates))
        case "HorizontalPodAutoscaler":
            target = spec["scaleTargetRef"]
            assert (target["kind"], target["name"]) in templates
            assert 1 <= spec["minReplicas"] < spec["maxReplicas"]
            assert all(
                "replicas" not in other["spec"]
                for other in manifests
                if (other["kind"], other["metadata"]["name"]) == (target["kind"], target["name"])
            )


def _chosen(selector: Mapping[str, str], templates: Mapping[Any, Any]) -> Iterator[Any]:
    found = [pod for pod in templates.values() if selector.items() <= pod["metadata"]["labels"].items()]
    assert found, selector
    yield from found


def _ports(pod: Any) -> list[Any]:
    return [port for each in pod["spec"]["containers"] for port in each.get("ports", [])]


def _check_pod(pod: Any) -> None:
    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False  # `NORIA_SERVER_PORT` would be taken for a misspelt setting
    volumes = {each["name"] for each in spec["volumes"]}
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    assert {mount["name"] for each in containers for mount in each["volumeMounts"]} == volumes
    for each in containers:
        rights = each["securityContext"]
        assert rights["readOnlyRootFilesystem"] is True
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        requests, limits = each["resources"]["requests"], each["resources"]["limits"]
        assert all(_amount(requests[kind]) <= _amount(limits[kind]) for kind in ("cpu", "memory"))
        writable = {mount["mountPath"] for mount in each["volumeMounts"] if not mount.get("readOnly", False)}
        assert writable == {"/var/lib/noria", "/tmp"}  # noqa: S108 - the pod's own
        assert all(set(variable) in ({"name", "value"}, {"name", "valueFrom"}) for variable in each["env"])


def _amount(text: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", text).groups()  # type: ignore[union-attr]
    return float(number) * _FACTORS[unit]

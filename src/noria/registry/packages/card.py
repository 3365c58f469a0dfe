"""The model card of a package: what people read before they use the model, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from noria.registry.packages.entities import Made
from noria.registry.packages.pylock import Lock

if TYPE_CHECKING:
    from noria.registry.entities import ServableVersion


def make_card(version: ServableVersion, made: Made, digest: str, lock: Lock, code: str | None) -> bytes:
    """Write what is known of a version: what it answers, what it takes, how good it is, where it comes from."""
    origin = made.origin
    sections = [
        [f"# {made.model}, version {made.version}", "", made.message or "No message was given with it."],
        ["## What it answers", "", _task(version)],
        ["## Inputs", "", *_table(("name", "type", "shape", "may be missing"), _tensors(version))],
        ["## How good it is", "", *_quality(made)],
        [
            "## Where it comes from",
            "",
            *_listed(
                ("Registered by", made.author),
                ("Registered at", made.registered_at.isoformat(timespec="seconds")),
                ("Project", made.project),
                ("Data", origin.dataset),
                ("Pipeline", origin.pipeline),
                ("Run", origin.run_id),
                ("Params", ", ".join(f"{key}={value}" for key, value in origin.params.items())),
            ),
        ],
        [
            "## What is in the package",
            "",
            *_listed(
                ("Digest", f"`{digest}`"),
                ("Format", version.format),
                ("Pickles", "yes: loading them runs the code in them" if version.pickled else "none"),
                ("Code of the project", "included" if code else "not included"),
                ("Distributions", str(len(lock.distributions))),
                ("Lock", f"incomplete: {lock.incomplete}" if lock.incomplete else "complete"),
            ),
        ],
    ]
    return ("\n\n".join("\n".join(lines) for lines in sections) + "\n").encode()


def _task(version: ServableVersion) -> str:
    classes = version.classes
    if classes is None:
        return f"A number ({version.task.value})."
    shown = ", ".join(f"`{_plain(each)}`" for each in classes[:50])
    return f"One of {len(classes)} classes ({version.task.value}): {shown}{' …' if len(classes) > 50 else ''}"


def _tensors(version: ServableVersion) -> Iterable[Sequence[object]]:
    return [
        (spec.name, spec.datatype, spec.shape, "yes" if spec.nullable else "no")
        for spec in version.signature.inputs
    ]


def _quality(made: Made) -> list[str]:
    held = made.holdout
    lines = []
    if held is not None:
        lines = [f"On {held.n} rows that it was not fitted on: {held.metric} {held.value:.6g}.", ""]
    if made.metrics:
        return lines + _table(("metric", "value"), [(k, f"{v:.6g}") for k, v in sorted(made.metrics.items())])
    return lines or ["Nobody measured it."]


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    lines += [" | ".join(_plain(cell) for cell in row) for row in rows]
    return [f"| {line} |" for line in lines]


def _listed(*pairs: tuple[str, str | None]) -> list[str]:
    return [f"- {name}: {_plain(value) if name != 'Digest' else value}" for name, value in pairs if value]


def _plain(value: object) -> str:
    """Keep what people wrote from becoming markup."""
    text = " ".join(str(value).split())
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>|#" else char for char in text)

"""A decision as Markdown that a person reads in a minute. Pure."""

from __future__ import annotations

from noria.catalog.entities import DecisionRecord
from noria.catalog.render import to_markdown as record_to_markdown
from noria.decisions.entities import Decision, DecisionStatus


def to_markdown(decision: Decision, record: DecisionRecord) -> str:
    """Tell the story: where it stands, what is asked, the record, and the timeline."""
    about = f"endpoint `{decision.endpoint}`, model `{decision.model}@{decision.version}`"
    parts = [
        record_to_markdown(record).rstrip("\n"),
        f"## Where it stands: {decision.status.value}\n\n"
        f"Decision `{decision.id}` about {about}. {decision.reason}".rstrip(),
        _question(decision),
        _timeline(decision),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _question(decision: Decision) -> str:
    if decision.status is not DecisionStatus.ASKING:
        return ""
    lines = [f"- `noria decisions reject {decision.id} --reason …` ends it"]
    if decision.target_version is not None:
        lines.insert(
            0,
            f"- `noria decisions approve {decision.id}` puts {decision.model}@{decision.target_version} live",
        )
    elif decision.pin is not None:
        lines.insert(0, f"- `noria decisions approve {decision.id}`: {decision.pin.words}")
    elif decision.repair:
        words = "; ".join(column.words for column in decision.repair)
        lines.insert(0, f"- `noria decisions approve {decision.id}` puts inputs right: {words}")
    return "\n".join(["## What you can say", "", *lines])


def _timeline(decision: Decision) -> str:
    lines = [f"- {moment.at:%H:%M:%S} {moment.status.value}: {moment.text}" for moment in decision.timeline]
    return "\n".join(["## Timeline", "", *lines])

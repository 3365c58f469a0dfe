"""A decision record as Markdown that a person reads in a minute. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from noria.catalog.entities import Candidate, DecisionRecord, Figure


def to_markdown(record: DecisionRecord) -> str:
    """Tell the story of a record: problem, evidence, causes, candidates, choice, outcome."""
    when = f"{record.created_at:%Y-%m-%d %H:%M} UTC"
    parts = [
        f"# {record.problem}",
        f"{record.kind.value.capitalize()} for `{record.subject}`, {when}, by {record.author}. Record `{record.id}`.",
        _evidence(record),
        _causes(record),
        _candidates(record.candidates),
        _choice(record),
        _facts("Action", record.action),
        _facts("Outcome", record.outcome),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def mentions(record: DecisionRecord, words: Sequence[str]) -> bool:
    """Tell whether the record's story holds all words, in any case of letters."""
    story = to_markdown(record).casefold()
    return all(word.casefold() in story for word in words)


def figure_text(figure: Figure | None) -> str:
    """Give `0.871 (0.82 to 0.91, n = 158)`."""
    if figure is None:
        return "–"
    extras = []
    if figure.low is not None and figure.high is not None:
        extras.append(f"{figure.low:.3g} to {figure.high:.3g}")
    if figure.n is not None:
        extras.append(f"n = {figure.n}")
    return f"{figure.value:.3g}" + (f" ({', '.join(extras)})" if extras else "")


def _evidence(record: DecisionRecord) -> str:
    if not record.evidence:
        return ""
    lines = [f"- **{found.stage}**, {found.verdict}: {found.sentence}" for found in record.evidence]
    return "\n".join(["## Evidence", "", *lines])


def _causes(record: DecisionRecord) -> str:
    if not record.cause_probability:
        return ""
    ranked = sorted(record.cause_probability.items(), key=lambda item: -item[1])
    lines = [f"- {name}: {probability:.1%}" for name, probability in ranked if probability >= 0.001]
    return "\n".join([f"## Cause: {record.cause or 'unknown'}", "", *lines])


def _candidates(candidates: list[Candidate]) -> str:
    if not candidates:
        return ""
    names = sorted({name for candidate in candidates for name in candidate.figures})
    rows = [
        "| candidate | " + " | ".join([*names, "net gain", "note"]) + " |",
        "|" + " --- |" * (len(names) + 3),
    ]
    for candidate in candidates:
        cells = [figure_text(candidate.figures.get(name)) for name in names]
        note = candidate.note if candidate.admissible else f"not admissible: {candidate.note}"
        rows.append(f"| {candidate.name} | " + " | ".join([*cells, figure_text(candidate.gain), note]) + " |")
    return "\n".join(["## Candidates", "", *rows])


def _choice(record: DecisionRecord) -> str:
    if record.choice is None:
        return ""
    return f"## Choice: {record.choice}\n\n{record.reason}"


def _facts(title: str, facts: dict[str, object] | None) -> str:
    if not facts:
        return ""
    return "\n".join([f"## {title}", "", *(f"- {name}: {value}" for name, value in facts.items())])

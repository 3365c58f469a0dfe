"""`noria batches list|show|compare|switch|rule`: named batches with two slots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, say, show, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from noria.serving.batch.entities import Batch, BatchPage, Recorded
    from noria.serving.batch.slot_entities import Comparison

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the batch.")]
StableOption = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="URL",
        help="The stable name with a password that is not on record.",
        show_default=False,
    ),
]

batches = typer.Typer(
    no_args_is_help=True, help="Batch runs, and the stable names of their rows", add_completion=False
)


@batches.command("list")
def list_batches(
    json: JsonFlag = False, workspace: WorkspaceOption = None, project: ProjectOption = None
) -> None:
    """List named batches: what is live in each, and what could be."""
    from noria.serving.batch.service import Batches

    with opened(workspace, project) as ws:
        page = ws.service(Batches).list(ws.project)
    show(page, json=json, render=_batches_table)


@batches.command("show")
def show_batch(
    name: NameArgument,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Show a named batch: its slots, its last comparison, its rule."""
    from noria.serving.batch.service import Batches

    with opened(workspace, project) as ws:
        found = ws.service(Batches).get(ws.project, name)
    show(found, json=json, render=_batch_facts)


@batches.command("compare")
def compare(
    name: NameArgument,
    truth: Annotated[
        str,
        typer.Option("--truth", metavar="DATASET|FILE|SQL", help="True values with the key of their rows."),
    ],
    label: Annotated[str, typer.Option("--label", metavar="COLUMN", help="Column of the true value.")],
    block: Annotated[
        str | None,
        typer.Option(
            "--block",
            metavar="COLUMN",
            help="Column of the truth that marks rows which depend on one another.",
            show_default=False,
        ),
    ] = None,
    alpha: Annotated[
        float, typer.Option("--alpha", help="Chance that the interval ever misses the true gain.")
    ] = 0.05,
    input_url: Annotated[
        str | None,
        typer.Option("--input-url", metavar="URL", help="Database of a `select …`.", show_default=False),
    ] = None,
    output: StableOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Hold both slots against the truth; the batch's rule, if it has one, switches by it."""
    from noria.serving.batch.compare import compare_batch

    with opened(workspace, project) as ws:
        found = compare_batch(
            ws, name, truth, label, block=block, alpha=alpha, output=output, input_url=input_url
        )
    show(found, json=json, render=_recorded_facts)


@batches.command("switch")
def switch(
    name: NameArgument,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Slot to make live.", show_default="the one that is not"),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the record.", show_default=False)] = "",
    output: StableOption = None,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Have the stable name stand for the other slot, at once."""
    from noria.serving.batch.client import one_of
    from noria.serving.batch.entities import SwitchBatch
    from noria.serving.batch.names import point_stable
    from noria.serving.batch.service import Batches
    from noria.serving.batch.slot_entities import Slot

    chosen = None if to is None else one_of(Slot, to, "to")
    with opened(workspace, project) as ws:
        ws.service(Batches).switch(ws.project, name, SwitchBatch(to=chosen, reason=reason))
        found = point_stable(ws, name, output)
    show(found, json=json, render=_batch_facts)


@batches.command("rule")
def rule(
    name: NameArgument,
    min_gain: Annotated[
        float | None,
        typer.Option(
            "--min-gain", help="Switch when the gain's interval lies above this.", show_default=False
        ),
    ] = None,
    min_pairs: Annotated[
        int, typer.Option("--min-pairs", min=1, help="But not before so many rows have their truth.")
    ] = 100,
    off: Annotated[bool, typer.Option("--off", help="Leave switching to people.")] = False,
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Let comparisons switch the batch, or leave it to people."""
    from noria.core.errors import Invalid
    from noria.serving.batch.service import Batches
    from noria.serving.batch.slot_entities import Rule, SetRule

    if (min_gain is None) is not off:
        raise Invalid("A rule needs a gain", hint="Give `--min-gain 0`, or `--off`")
    chosen = None if min_gain is None else Rule(min_gain=min_gain, min_pairs=min_pairs)
    with opened(workspace, project) as ws:
        found = ws.service(Batches).set_rule(ws.project, name, SetRule(rule=chosen))
    show(found, json=json, render=_batch_facts)


def _batches_table(page: BatchPage) -> RenderableType:
    return table(
        ("name", "model", "output", "live", "blue", "green", "switched"),
        (
            (
                batch.name,
                batch.model,
                batch.output,
                batch.live.value,
                *(_version_of(batch, slot) for slot in ("blue", "green")),
                batch.switched_at,
            )
            for batch in page.items
        ),
    )


def _version_of(batch: Batch, slot: str) -> str | None:
    found = {key.value: filled for key, filled in batch.slots.items()}.get(slot)
    return None if found is None else f"{batch.model}@{found.version}"


def _batch_facts(batch: Batch) -> RenderableType:
    pairs: list[tuple[str, object]] = [("batch", batch.name), ("output", batch.output)]
    for slot, filled in sorted(batch.slots.items()):
        what = "live" if slot is batch.live else "candidate"
        pairs.append((str(slot), f"{batch.model}@{filled.version}, {filled.n_rows:,} rows, {what}"))
        pairs.append(("", filled.written))
    pairs.append(("switched", batch.switched_at))
    if batch.switched_by is not None:
        pairs.append(("by", f"{batch.switched_by}{f': {batch.reason}' if batch.reason else ''}"))
    if batch.rule is not None:
        told = f"the interval of the gain lies above {batch.rule.min_gain:g}, from {batch.rule.min_pairs:,} rows on"
        pairs.append(("switches when", told))
    outside = "://" in batch.output or batch.output.endswith(".parquet")
    if outside and batch.live in batch.slots and batch.pointed is not batch.live:
        say(f"The name `{batch.output}` does not lead to {batch.live} yet; mend it:")
        say(f"noria batches switch {batch.name} --to {batch.live}")
    return facts([*pairs, *(_comparison(batch.comparison) if batch.comparison else ())])


def _comparison(found: Comparison) -> list[tuple[str, object]]:
    low, high = (("–" if end is None else f"{end:+.4g}") for end in (found.gain_low, found.gain_high))
    return [
        ("compared", f"{found.n_pairs:,} rows with their truth, {found.n_without_truth:,} without"),
        (f"{found.metric} live", found.live_value),
        (f"{found.metric} candidate", found.candidate_value),
        ("gain", f"{found.gain:+.4g} ({low} to {high} at {found.level:.0%}, {found.method})"),
        ("candidate is", found.verdict.value),
    ]


def _recorded_facts(recorded: Recorded) -> RenderableType:
    if recorded.switched:
        say(f"Switched to {recorded.batch.live} by the rule of the batch")
    return _batch_facts(recorded.batch)

"""`noria decide`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from noria.core.console.options import JsonFlag, ProjectOption, WorkspaceOption, opened
from noria.core.console.output import facts, print_json, say, show, stderr, stdout, table
from noria.decisions.replay_commands import replay

if TYPE_CHECKING:
    from noria.decisions.entities import Decision
    from noria.decisions.rehearsal import Rehearsal

_ENDPOINT = "endpoint"
_SHOWN_PROBABILITY = 0.001


class _EndpointFirst(TyperGroup):
    """Takes a first word that is no command for the name of an endpoint: `noria decide digits --dry-run`."""

    default_command = _ENDPOINT

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_EndpointFirst,
    no_args_is_help=True,
    help="Decide about an endpoint, or replay recorded history",
)


@app.callback()
def decide() -> None:
    """Decide about an endpoint, or replay recorded history."""


app.command("replay")(replay)


@app.command(_ENDPOINT)
def endpoint(
    name: Annotated[str, typer.Argument(metavar="ENDPOINT", help="Name of the endpoint.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Diagnose, try and choose, but do nothing and open nothing.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="With `--dry-run`: show what each stage saw and weighed, and what spoke against each remedy.",
        ),
    ] = False,
    since: Annotated[
        int | None,
        typer.Option("--since", metavar="POSITION", help="Captured row from which on things are wrong."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-m", help="Why, for the record.")] = "",
    json: JsonFlag = False,
    workspace: WorkspaceOption = None,
    project: ProjectOption = None,
) -> None:
    """Decide about an endpoint: find the cause, try what may mend it, and do it as the policies allow.

    The word `endpoint` may be left out: `noria decide digits --dry-run`.
    """
    from noria.core.errors import Invalid
    from noria.decisions.entities import StartDecision
    from noria.decisions.rehearsal import rehearse
    from noria.decisions.service import Decisions

    if explain and not dry_run:
        raise Invalid(
            "`--explain` goes with `--dry-run`",
            hint=f"Try `noria decide {name} --dry-run --explain`; "
            "a decision that was made is told by `noria decisions show`",
        )
    wish = StartDecision(endpoint=name, onset_position=since, reason=reason)
    with opened(workspace, project) as ws:
        if not dry_run:
            show(ws.service(Decisions).start(ws.project, wish), json=json, render=_started)
            return
        found = rehearse(ws, wish, tell=_tell)
    if json:
        print_json(found)
        return
    stdout().print(_summary(found))
    if explain:
        _explain(found)
    say("Nothing was done: this was a dry run")


def _tell(text: str) -> None:
    stderr().print(f"{text} …", style="dim")


def _started(found: Decision) -> Any:
    return facts([("decision", found.id), ("endpoint", found.endpoint), ("status", found.status.value)])


def _summary(found: Rehearsal) -> Any:
    return facts(
        [
            ("endpoint", found.endpoint),
            ("model", f"{found.model}@{found.version_now}"),
            ("since row", found.onset_position),
            ("labelled rows since", found.n_labelled),
            ("cause", f"{found.cause.value} ({found.causes[found.cause]:.1%})"),
            ("subject", found.subject),
            ("remedy", found.remedy.value),
            ("policy", found.policy.value),
            ("would put live", found.version and f"{found.model}@{found.version}"),
            ("would pin", found.pin and found.pin.words),
            ("labels missing", found.n_labels or None),
            ("reason", found.reason),
        ]
    )


def _explain(found: Rehearsal) -> None:
    stages = [(e.stage, e.verdict, e.sentence) for e in found.evidence]
    stdout().print(table(["stage", "verdict", "evidence"], stages, title="What each stage saw"))
    likely = sorted(found.causes, key=found.causes.__getitem__, reverse=True)
    shown = [cause for cause in likely if found.causes[cause] >= _SHOWN_PROBABILITY]
    rows: list[tuple[object, ...]] = [
        (weight.stage, weight.verdict, *(f"{weight.likelihood[cause.value]:.3g}" for cause in shown))
        for weight in found.weights
    ]
    rows.append(("posterior", "", *(f"{found.causes[cause]:.1%}" for cause in shown)))
    headings = ["weighed", "verdict", *(cause.value for cause in shown)]
    stdout().print(table(headings, rows, title="What each stage weighed: probability of its verdict"))
    candidates = [(c.name, "" if c.admissible else "no", _gain(c.gain), c.note) for c in found.candidates]
    if candidates:
        headings = ["remedy", "admissible", "net gain", "how, or why not"]
        stdout().print(table(headings, candidates, title="What could be done"))


def _gain(gain: Any) -> str:
    if gain is None:
        return ""
    ends = "" if gain.low is None or gain.high is None else f" ({gain.low:.0f} to {gain.high:.0f})"
    return f"{gain.value:.0f}{ends}"

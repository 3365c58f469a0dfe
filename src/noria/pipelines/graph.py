"""The graph of a pipeline: which steps were called, and what went from one to the other. Pure.

The graph is what the body did, call by call. Calls of one step that stand alike (the items of a map, the rounds of a
loop) are one node with their number.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from noria.pipelines.entities import PipelineRun, StepInput, StepReport

MOST_SINGLE = 4
"""Calls of a step that stand alike are drawn one by one up to this number, unless they are items of a map."""

UNKNOWN_ITEMS = -1

_NUMBERED = re.compile(r" \d+(?=/|$)")


class GraphCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a step.

    Attributes
    ----------
    step, name, position, sources, declared, group
        As in a step's report.
    item
        As in a step's report; `UNKNOWN_ITEMS` for all items of a map of which is not known how many they are.
    status
        How it ended; empty when it has not run.
    """

    step: str
    name: str
    position: int
    sources: list[StepInput] = []
    declared: dict[str, str] = {}
    group: str = ""
    item: int | None = None
    status: str = ""
    duration_s: float = 0.0


class GraphNode(msgspec.Struct, frozen=True, kw_only=True):
    """A step in the graph: one call, or many that stand alike.

    Attributes
    ----------
    id
        Position of the first call.
    step
        `pipeline.py:fit`.
    group
        Nested pipelines around it, outermost first: `prepare/clean`.
    n_calls
        0 when that is not known before the body runs.
    mapped
        Whether its calls are items of a map.
    declared
        Name of each output → its declared type.
    statuses
        How many calls ended how; empty when none has run.
    duration_s
        Of all calls together.
    """

    id: int
    name: str
    step: str
    group: str = ""
    n_calls: int = 1
    mapped: bool = False
    declared: dict[str, str] = {}
    statuses: dict[str, int] = {}
    duration_s: float = 0.0


class GraphEdge(msgspec.Struct, frozen=True, kw_only=True):
    """An output of one node that goes into an argument of another."""

    source: int
    output: str
    target: int
    argument: str


class GraphResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the pipeline returns under a name: an output of a node."""

    name: str
    source: int
    output: str


class GraphParameter(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter of a pipeline; its default as text, None when a value must be given."""

    name: str
    type: str
    default: str | None = None


class PipelineGraph(msgspec.Struct, frozen=True, kw_only=True):
    """The graph of a pipeline.

    Attributes
    ----------
    pipeline
        `module:name`.
    run_id
        The run that it was read from; None when the body was walked with stand-ins.
    stopped
        Where the walk stopped since the body looks at a value, in words.
    parameters
        What the pipeline takes; empty where its code is not at hand.
    """

    pipeline: str
    run_id: str | None = None
    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []
    results: list[GraphResult] = []
    stopped: str | None = None
    parameters: list[GraphParameter] = []

    @property
    def takes(self) -> str:
        """The parameters: `path: Path, c: float = 1.0`."""
        return ", ".join(
            f"{one.name}: {one.type}" + ("" if one.default is None else f" = {one.default}")
            for one in self.parameters
        )


def graph_of_run(run: PipelineRun, steps: Sequence[StepReport]) -> PipelineGraph:
    """Give the graph of a run."""
    calls = [
        GraphCall(
            step=step.step,
            name=step.name,
            position=step.position,
            sources=step.sources,
            declared=step.declared,
            group=step.group,
            item=step.item,
            status=str(step.status),
            duration_s=step.duration_s,
        )
        for step in steps
    ]
    made = {
        stored.digest: (step.position, name)
        for step in steps
        for name, stored in zip(step.declared, step.outputs, strict=False)
    }
    results = {name: made[stored.digest] for name, stored in run.outputs.items() if stored.digest in made}
    return graph_of_calls(run.pipeline, calls, results, run_id=run.run_id)


def graph_of_calls(
    pipeline: str,
    calls: Sequence[GraphCall],
    results: Mapping[str, tuple[int, str]],
    *,
    run_id: str | None = None,
    stopped: str | None = None,
) -> PipelineGraph:
    """Give the graph of the calls that a body made.

    Parameters
    ----------
    results
        Name of what the pipeline returns → position and output of the step that made it.
    """
    ordered = sorted(calls, key=lambda call: call.position)
    members = [part for alike in _alike(ordered) for part in _together(alike)]
    node_of = {call.position: group[0].position for group in members for call in group}
    edges = {
        (node_of[source.source_position], source.output, node_of[call.position], source.argument)
        for call in ordered
        for source in call.sources
        if source.source_position in node_of
    }
    return PipelineGraph(
        pipeline=pipeline,
        run_id=run_id,
        nodes=sorted(map(_node, members), key=lambda node: node.id),
        edges=[GraphEdge(source=s, output=o, target=t, argument=a) for s, o, t, a in sorted(edges)],
        results=[
            GraphResult(name=name, source=node_of[position], output=output)
            for name, (position, output) in results.items()
            if position in node_of
        ],
        stopped=stopped,
    )


def _alike(calls: Sequence[GraphCall]) -> list[list[GraphCall]]:
    """Gather the calls of one step that take the same arguments from calls that are alike themselves."""
    found: dict[object, list[GraphCall]] = {}
    kind_of: dict[int, int] = {}
    for call in calls:
        sources = frozenset((s.argument, kind_of.get(s.source_position), s.output) for s in call.sources)
        sign = (call.step, _NUMBERED.sub("", call.group), call.item is None, sources)
        alike = found.setdefault(sign, [])
        alike.append(call)
        kind_of[call.position] = alike[0].position
    return list(found.values())


def _together(alike: list[GraphCall]) -> list[list[GraphCall]]:
    """Give calls that stand alike as one when they are many or items of a map, else one by one."""
    if alike[0].item is not None or len(alike) > MOST_SINGLE:
        return [alike]
    return [[call] for call in alike]


def _node(calls: list[GraphCall]) -> GraphNode:
    first = calls[0]
    return GraphNode(
        id=first.position,
        name=first.name,
        step=first.step,
        group=first.group,
        n_calls=0 if first.item == UNKNOWN_ITEMS else len(calls),
        mapped=first.item is not None,
        declared=first.declared,
        statuses=dict(Counter(call.status for call in calls if call.status)),
        duration_s=sum(call.duration_s for call in calls),
    )

"""The graph of a pipeline: what is one node, what a walk with stand-ins finds, and what the drawing holds."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noria.pipelines.authoring import PipelineCycle, pipeline, step
from noria.pipelines.drawing import Wording, draw
from noria.pipelines.entities import StepInput
from noria.pipelines.graph import GraphCall, PipelineGraph, graph_of_calls
from noria.pipelines.graph_svg import graph_svg, shapes
from noria.pipelines.graph_text import graph_text
from noria.pipelines.graph_walk import walk_pipeline

HERE = Path(__file__).parent


class Halves(NamedTuple):
    left: list[int]
    right: list[int]


@step
def load(path: Path) -> list[int]:
    raise AssertionError(path)  # a walk runs no step


@step
def halve(rows: list[int]) -> Halves:
    raise AssertionError(rows)


@step
def fit(rows: list[int], c: float) -> float:
    raise AssertionError(rows, c)


@step
def best(scores: list[float]) -> float:
    raise AssertionError(scores)


@pipeline
def prepare(path: Path) -> Halves:
    return halve(load(path))


@pipeline
def train(path: Path, cs: tuple[float, ...] = (1.0, 2.0, 3.0)) -> Any:
    halves = prepare(path)
    found = best(fit.map(cs, rows=halves.left))
    again = [best([fit(halves.right, c)]) for c in range(5)]
    print("not on stdout")  # noqa: T201
    return {"best": found, "again": again[0]}


@pipeline
def looking(path: Path) -> Any:
    try:
        return best([1.0]) if load(path.parent)[0] else None
    except Exception:  # noqa: BLE001 - what a body may do
        return best([2.0])


@pipeline
def circle() -> Any:
    return circle()


def walked(of: Any, **values: Any) -> PipelineGraph:
    """Walk a pipeline of this module."""
    return walk_pipeline(of, values, target=f"flow:{of.name}", root=HERE)


def test_a_walk_finds_what_the_body_does_and_runs_no_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Items of a map and rounds of a loop that stand alike are one node; a nested pipeline is a group."""
    graph = walked(train)
    assert [(node.name, node.group, node.n_calls, node.mapped) for node in graph.nodes] == [
        ("load", "prepare", 1, False),
        ("halve", "prepare", 1, False),
        ("fit", "", 3, True),
        ("best", "", 1, False),
        ("fit", "", 5, False),
        ("best", "", 5, False),
    ]
    lines = graph_text(graph).splitlines()
    assert lines[:2] == ["flow:train", "prepare/"]
    assert re.fullmatch(r"  halve +rows ← load +→ left: list\[int\], right: list\[int\]", lines[3])
    assert re.fullmatch(r"fit 2 +rows ← halve.right +→ float +× 5", lines[6])
    assert lines[8:] == ["returns best = best", "returns again = best 2"]
    assert capsys.readouterr().out == ""


def test_a_walk_stops_where_the_body_looks_at_a_value_and_says_where() -> None:
    """What stands after the look is not made up, also where the body catches every exception."""
    graph = walked(looking)
    assert [node.name for node in graph.nodes] == ["load"]
    assert re.match(r"the body looks at what `load` gives at test_graph.py:\d+; ", graph.stopped or "")
    assert (graph.stopped or "") in graph_text(graph)


def test_a_circle_of_pipelines_is_refused_by_name() -> None:
    """A walk says as a run does that a pipeline calls itself."""
    with pytest.raises(PipelineCycle, match="`circle` → `circle`"):
        walked(circle)


def test_a_drawing_holds_each_step_with_types_and_no_script() -> None:
    """It stands alone, follows the colours of the system, and escapes what users named."""
    graph = walked(train)
    svg = graph_svg(graph_of_calls("a<b&c", [_as_call(n) for n in graph.nodes], {}, stopped="<stopped>"))
    texts = [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own
    assert {"a<b&c", "<stopped>", "prepare", "halve", "left: list[int]"} <= set(texts)
    assert "prefers-color-scheme" in svg
    assert "<script" not in svg
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def _as_call(node: Any) -> GraphCall:
    return GraphCall(
        step=node.step, name=node.name, position=node.id, declared=node.declared, group=node.group
    )


@st.composite
def calls(draw_: st.DrawFn) -> list[GraphCall]:
    """Give calls that take from those before them, in nested groups."""
    made = []
    for position in range(draw_(st.integers(0, 14))):
        sources = draw_(st.sets(st.integers(0, position - 1), max_size=3)) if position else set()
        made.append(
            GraphCall(
                step=draw_(st.sampled_from("abc")),
                name="step",
                position=position,
                sources=[StepInput(argument="x", source_position=s, output="output") for s in sources],
                declared={"output": "int"},
                group=draw_(st.sampled_from(["", "g", "g/h", "g 2", "k"])),
                item=draw_(st.sampled_from([None, None, 0])),
            )
        )
    return made


@settings(max_examples=40)
@given(calls())
def test_every_call_is_in_one_node_and_boxes_and_lines_lie_apart(made: list[GraphCall]) -> None:
    """Whatever the graph, nothing is lost, what flows between nodes is kept, and lines go around boxes."""
    graph = graph_of_calls("p:q", made, {})
    assert sum(node.n_calls for node in graph.nodes) == len(made)
    assert bool(graph.edges) == any(call.sources for call in made)
    drawing = draw(graph)
    boxes = drawing.boxes
    assert len(drawing.lines) == len(graph.edges)
    for index, box in enumerate(boxes):
        assert 0 <= box.x <= box.x + box.width <= drawing.width
        assert 0 <= box.y <= box.y + box.height <= drawing.height
        for x, y in (point for line in drawing.lines for point in line.points[1:-1]):
            assert not (box.x < x < box.x + box.width and box.y < y < box.y + box.height)
        for other in boxes[:index]:
            apart_x = box.x + box.width <= other.x or other.x + other.width <= box.x
            assert apart_x or box.y + box.height <= other.y or other.y + other.height <= box.y


def test_a_box_tells_in_the_readers_language_how_a_step_ended() -> None:
    """Words and numbers are the reader's; the names of steps and outputs stay what they are."""
    calls = [
        GraphCall(
            step=f"p:fit{position}",
            name=f"fit{position}",
            position=position,
            declared={"output": "int"},
            status="finished",
            duration_s=1.5,
        )
        for position in range(2)
    ]
    spanish = Wording(
        words={"finished": "terminado"}.__getitem__, seconds=lambda s: f"{s:g} s".replace(".", ",")
    )
    drawn = shapes(draw(graph_of_calls("p:q", calls, {"result": (0, "output")}), spanish))
    assert "terminado  1,5 s" in drawn
    assert "finished  " not in drawn

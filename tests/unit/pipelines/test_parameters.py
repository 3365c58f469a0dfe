"""Parameters of pipelines: read from text and checked as values, by their annotations."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest

from noria.pipelines.authoring import pipeline
from noria.pipelines.parameters import Parameter, ParameterInvalid, bind, check, parse, parse_assignments


class Kind(enum.Enum):
    SMALL = "small"
    LARGE = "large"


@pipeline
def study(  # type: ignore[no-untyped-def]
    path: Path,
    c: float = 1.0,
    depth: int = 3,
    *,
    names: list[str] | None = None,
    mode: Literal["fast", "slow"] = "fast",
    plain=4,
) -> None:
    """Take parameters of many kinds."""


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "3", 3),
        (int, "-1_000", -1000),
        (float, "3", 3.0),
        (float, "1e-3", 0.001),
        (float, "nan", pytest.approx(float("nan"), nan_ok=True)),
        (str, "3", "3"),
        (str, "", ""),
        (Any, "x", "x"),
        (bool, "true", True),
        (bool, "No", False),
        (bool, "0", False),
        (Path, "a/b.csv", Path("a/b.csv")),
        (date, "2026-03-01", date(2026, 3, 1)),
        (datetime, "2026-03-01T10:00:00+00:00", datetime(2026, 3, 1, 10, tzinfo=UTC)),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, "1"], "1", 1),
        (Literal[True, False], "false", False),
        (Kind, "small", Kind.SMALL),
        (Kind, "LARGE", Kind.LARGE),
        (Optional[int], "none", None),  # noqa: UP045 - the older form is read too
        (int | None, "7", 7),
        (str | None, "null", None),
        (int | float, "7", 7),
        (int | float, "7.5", 7.5),
        (list[int], "1,2, 3", [1, 2, 3]),
        (list[int], "[1, 2]", [1, 2]),
        (list[int], "", []),
        (list, "a,b", ["a", "b"]),
        (tuple[int, str], "1,a", (1, "a")),
        (tuple[float, ...], "1,2", (1.0, 2.0)),
        (set[str], "a,b,a", {"a", "b"}),
        (dict[str, float], '{"a": 1}', {"a": 1.0}),
        (Annotated[int, "positive"], "4", 4),
        (list[Path], "a,b", [Path("a"), Path("b")]),
    ],
)
def test_text_is_read_by_type(annotation: Any, text: str, value: Any) -> None:
    """A text becomes a value of the annotated type."""
    found = parse(Parameter(name="p", annotation=annotation), text)

    assert found == value
    assert type(found) is type(value) or isinstance(annotation, type(float)) or found == value


@pytest.mark.parametrize(
    ("annotation", "text", "told"),
    [
        (int, "3.5", "is `3.5`, which is not an `int`"),
        (float, "a lot", "which is not a `float`"),
        (bool, "maybe", "which is not a `bool`"),
        (Literal["fast", "slow"], "fasst", "did you mean `fast`"),
        (Kind, "medium", "`small`, `large`"),
        (list[int], "1,x", r"which is not a `list\[int\]`"),
        (tuple[int, str], "1", "it has 1 items"),
        (dict[str, float], "a", "it is not JSON"),
        (int | None, "x", r"one of `int \| None`"),
        (date, "yesterday", "which is not a `date`"),
        (bytes, "x", "only be given in Python"),
        (list[int], "[1", "it is not JSON"),
    ],
)
def test_text_that_does_not_fit_is_told(annotation: Any, text: str, told: str) -> None:
    """An error names the parameter, the value and the type."""
    with pytest.raises(ParameterInvalid, match=told) as caught:
        parse(Parameter(name="depth", annotation=annotation), text)

    assert "`depth`" in caught.value.message
    assert "`depth`" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("annotation", "value", "checked"),
    [
        (float, 3, 3.0),
        (Path, "a", Path("a")),
        (Kind, "small", Kind.SMALL),
        (date, "2026-03-01", date(2026, 3, 1)),
        (tuple[int, ...], [1, 2], (1, 2)),
        (list[float], (1, 2), [1.0, 2.0]),
        (int | None, None, None),
        (dict[str, list[float]], {"a": [1]}, {"a": [1.0]}),
        (Literal["a"], "a", "a"),
        (Any, object, object),
    ],
)
def test_values_are_taken_in_their_json_forms(annotation: Any, value: Any, checked: Any) -> None:
    """Values as JSON has them (lists for tuples, texts for paths, dates and enums) become those of the type."""
    found = check(Parameter(name="p", annotation=annotation), value)

    assert found == checked
    assert type(found) is type(checked)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (int, True),
        (int, "3"),
        (int, 3.0),
        (float, "3"),
        (bool, 1),
        (str, 3),
        (list[int], "123"),
        (list[int], [1, "2"]),
        (Literal["a"], "b"),
        (int | None, "3"),
        (dict[str, int], [1]),
    ],
)
def test_values_of_a_wrong_type_are_refused(annotation: Any, value: Any) -> None:
    """A value of another type is refused, also inside containers; a bool is no number."""
    with pytest.raises(ParameterInvalid, match="`p` is"):
        check(Parameter(name="p", annotation=annotation), value)


def test_defaults_fill_what_was_not_given() -> None:
    """Given values are checked, the others keep their defaults, in the order of declaration."""
    values = bind("study", study.parameters, {"path": "x.csv", "depth": 5})

    assert list(values.items()) == [
        ("path", Path("x.csv")),
        ("c", 1.0),
        ("depth", 5),
        ("names", None),
        ("mode", "fast"),
        ("plain", 4),
    ]


def test_a_missing_parameter_is_named() -> None:
    """A parameter without a default must be given."""
    with pytest.raises(ParameterInvalid, match=r"`study` needs the parameter `path` \(Path\)") as caught:
        bind("study", study.parameters, {})

    assert caught.value.hint == "Add `-p path=VALUE`"


def test_an_unknown_parameter_suggests_the_near_one() -> None:
    """A misspelt parameter names the one that was probably meant."""
    with pytest.raises(ParameterInvalid, match="no parameter `dept`") as caught:
        bind("study", study.parameters, {"path": "x", "dept": 1})

    assert caught.value.hint == "Did you mean `depth`?"


def test_assignments_are_read() -> None:
    """`key=value` texts are split at the first `=`; the type of a default counts where there is no annotation."""
    values = parse_assignments("study", study.parameters, ["path=a=b", "plain=9", "names=x,y"])

    assert values == {"path": Path("a=b"), "plain": 9, "names": ["x", "y"]}
    with pytest.raises(ParameterInvalid, match="`path`"):
        parse_assignments("study", study.parameters, ["path"])


def test_a_pipeline_names_each_parameter() -> None:
    """`*args` and `**kwargs` are refused, and so are annotations that name nothing."""

    @pipeline
    def loose(*numbers: int) -> None: ...

    @pipeline
    def lost(x: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821, UP037

    with pytest.raises(ParameterInvalid, match=r"\*numbers"):
        _ = loose.parameters
    with pytest.raises(ParameterInvalid, match="`Missing`"):
        _ = lost.parameters

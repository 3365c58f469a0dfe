"""What may be logged, and where artifacts may lie, by MLflow's rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from noria.interop.mlflow.errors import MlflowError
from noria.interop.mlflow.locations import artifact_location, check_location, resolved, run_artifacts
from noria.interop.mlflow.run_names import name_of
from noria.interop.mlflow.validation import (
    check_experiment_name,
    check_experiment_tag,
    check_param,
    check_run_id,
    check_tag,
    fault_of_key,
)


@pytest.mark.parametrize("key", ["m", "val/loss", "a.b-c_d e:f", "ñandú", "a..b", "汉字/x", " "])
def test_good_keys_have_no_fault(key: str) -> None:
    """Letters of any script, digits and `_ - . : / space` make a key."""
    assert fault_of_key(key) is None


@pytest.mark.parametrize("key", ["a//b", "/a", "a/", "../a", "..", ".", "a/./b", "a/../b", "./a"])
def test_keys_that_mean_another_path_are_refused(key: str) -> None:
    """A key that would be another path when taken for one is refused, with that path."""
    assert "would resolve to" in (fault_of_key(key) or "")


@pytest.mark.parametrize("key", ["a#b", "a'b", "a\tb", "a%b", "a\\b", "a,b"])
def test_keys_with_other_characters_are_refused(key: str) -> None:
    """Any other character is refused."""
    assert "may only contain" in (fault_of_key(key) or "")


def test_long_values_are_cut_and_long_keys_refused() -> None:
    """Values of params and run tags lose what is too much; keys and experiment tags are refused."""
    assert check_param("p", "v" * 6001) == "v" * 6000
    assert check_tag("t", "v" * 8001) == "v" * 8000
    with pytest.raises(MlflowError, match="'Param key' exceeds the maximum length of 250 characters"):
        check_param("k" * 251, "v")
    with pytest.raises(MlflowError, match="'key' exceeds the maximum length of 250 characters"):
        check_tag("k" * 251, "v")
    with pytest.raises(MlflowError, match="'value' exceeds the maximum length of 20000 characters"):
        check_experiment_tag("k", "v" * 20_001)


def test_a_fault_within_a_list_names_its_place() -> None:
    """The message about an entry of a batch says which one."""
    with pytest.raises(MlflowError, match=r"parameter 'tags\[3\].key' supplied"):
        check_tag("a//b", "v", "tags[3]")


def test_names_and_ids_have_limits() -> None:
    """An experiment's name is 1 to 500 characters; a run's id holds neither space nor sign."""
    check_experiment_name("n" * 500)
    check_run_id("0123abc")
    for name in ("", "n" * 501):
        with pytest.raises(MlflowError):
            check_experiment_name(name)
    for run_id in ("", "a b", "../x", "é!"):
        with pytest.raises(MlflowError):
            check_run_id(run_id)


@pytest.mark.parametrize(
    "location",
    [
        "s3://b/a#f",
        "/srv/a;p",
        "s3://b/a?q=../../x",
        "s3://b/a?q=%2e%2e/x",
        "s3://b/a?q=%252e%252e/x",
        "runs:/abc/x",
        "ftp://host/x",
        "http://host/x",
        "mlflow-artifacts://host/x",
        "s3://" + "b" * 2050,
    ],
)
def test_doubtful_locations_are_refused(location: str) -> None:
    """Fragments, params, traversal however it is written, foreign hosts, runs and overlong texts are no locations."""
    with pytest.raises(MlflowError):
        check_location(location)


@pytest.mark.parametrize(
    "location", ["s3://b/a?region=x", "/srv/there", "mlflow-artifacts:/x", "gs://b", "file:///x"]
)
def test_plain_locations_are_taken(location: str) -> None:
    """Stores that clients reach themselves, and paths, are locations."""
    check_location(location)


def test_locations_lead_to_runs() -> None:
    """The artifacts of a run lie below its experiment's location, whatever kind that is."""
    assert run_artifacts(artifact_location(7, None), "r") == "mlflow-artifacts:/7/r/artifacts"
    assert run_artifacts(artifact_location(7, "s3://b/x/"), "r") == "s3://b/x/r/artifacts"
    assert run_artifacts("s3://b/x?a=1", "r") == "s3://b/x/r/artifacts?a=1"
    assert run_artifacts("/", "r") == "/r/artifacts"


def test_relative_paths_are_made_absolute() -> None:
    """A relative path is one of the server's folder; files of other machines are refused."""
    assert resolved("a/b", Path("/srv")) == "/srv/a/b"
    assert resolved("file:///a", Path("/srv")) == "file:///a"
    with pytest.raises(MlflowError, match="not a valid remote uri"):
        resolved("file://elsewhere/a", Path("/srv"))


def test_names_that_are_made_up_are_steady_and_differ() -> None:
    """A run's made-up name follows from its id, and two runs seldom share one."""
    names = {name_of(f"{i:032x}") for i in range(1000)}
    assert name_of("0" * 32) == name_of("0" * 32)
    assert len(names) > 990

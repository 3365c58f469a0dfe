"""Truths of episodes: made again they are the same, and they say what the incident is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import data_smoke
import dealing
import injectors_tuning
import oracle
import polars as pl
import pytest
import simulated
import truths
from episodes import Injector, Plan

from noria.decisions.entities import ADMISSIBLE, Cause, Remedy


def plan(*injectors: tuple[str, Injector], delay: int | None = 0, decoy: str = "", source: int = 0) -> Plan:
    return Plan(
        source=data_smoke.sources(Path())[source],
        model="linear",
        injectors=injectors,
        seed=7,
        delay=delay,
        decoy=decoy,
        level=1,
    )


def without_place(truth: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in truth.items() if name != "folder"}


def test_a_truth_made_again_is_the_same_and_kept_ones_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = plan(("input_fault", injectors_tuning.unit))
    one = truths.made(chosen, "smoke", tmp_path / "one")
    again = truths.made(chosen, "smoke", tmp_path / "two")
    assert json.dumps(without_place(one)) == json.dumps(without_place(again))
    for name in ("reference.parquet", "stream.parquet"):
        assert pl.read_parquet(Path(one["folder"]) / name).equals(
            pl.read_parquet(Path(again["folder"]) / name)
        )

    monkeypatch.setattr(truths, "_made", None)
    assert truths.made(chosen, "smoke", tmp_path / "one") == one


def test_a_quiet_episode_has_nothing_to_save(tmp_path: Path) -> None:
    truth = truths.made(plan(), "smoke", tmp_path)
    assert (truth["best"], truth["best_remedies"], truth["onset"]) == (0.0, ["wait"], None)


def test_the_remedy_of_a_fault_is_its_repair_and_nothing_learns_from_it(tmp_path: Path) -> None:
    truth = truths.made(plan(("input_fault", injectors_tuning.unit)), "smoke", tmp_path)
    assert truth["best_remedies"] == ["repair_inputs"]
    assert set(truth["saved"]) == {"wait", "repair_inputs"}
    assert truth["best"] > 0
    # Windows count from the one after the onset to the horizon's end.
    counted = [int(w) for w in truth["series"]]
    assert (counted[0], counted[-1]) == (truth["onset"] + 1, truth["last"])


def test_what_is_lost_is_not_given_back_exactly(tmp_path: Path) -> None:
    """The repairs of frozen values are an estimate and the median; other values are what they were."""
    truth = truths.made(plan(("input_fault", injectors_tuning.frozen)), "smoke", tmp_path)
    world = simulated.Simulated(Path(truth["folder"]).parent)
    [column] = truth["subjects"]
    lost = pl.read_parquet(Path(truth["folder"]).parent / "clean.parquet")[f"lost {column}"]
    assert lost.any()
    was = pl.concat(rows.raw for rows in world.as_it_was())
    for repaired in world.mended():
        now = pl.concat(rows.raw for rows in repaired)
        assert now.drop(column).equals(was.drop(column))
        assert (now[column] == was[column]).filter(~lost).all()
        assert (now[column] != was[column]).filter(lost).mean() > 0.9


def test_without_labels_nothing_that_learns_is_right(tmp_path: Path) -> None:
    truth = truths.made(plan(("concept_drift", injectors_tuning.flipped), delay=None), "smoke", tmp_path)
    assert truth["best_remedies"] == ["wait"]
    assert set(truth["saved"]) == {"wait"}


def test_two_faults_are_mended_together(tmp_path: Path) -> None:
    both = (("model_regression", injectors_tuning.fit_few), ("input_fault", injectors_tuning.unit))
    truth = truths.made(plan(*both), "smoke", tmp_path)
    assert truth["best"] >= max(truth["saved"].values())
    assert set(truth["best_remedies"]) <= {"roll_back_model", "repair_inputs"}


@pytest.mark.parametrize("kind", ["code", "model"])
def test_an_innocent_deployment_changes_no_answer(tmp_path: Path, kind: str) -> None:
    """Also beside faulty code, whose place it would take if it brought the old code along."""
    for number, injectors in enumerate([(), (("pipeline_fault", injectors_tuning.code_zero),)]):
        plain = truths.made(plan(*injectors), "smoke", tmp_path / f"{number}")
        beside = truths.made(plan(*injectors, decoy=kind), "smoke", tmp_path / f"{number}-{kind}")
        assert beside["without"] == pytest.approx(plain["without"])
        files = [sorted(p.name for p in (Path(t["folder"]) / "live").glob("*.py")) for t in (plain, beside)]
        events = (Path(beside["folder"]) / "events.jsonl").read_text()
        assert len(files[1]) == len(files[0]) + ("routine" in events)


def test_an_incident_that_costs_nothing_is_made_graver_or_not_at_all(tmp_path: Path) -> None:
    def nothing(scene: Any) -> None:
        scene.live[f"{scene.onset:03d}.fit.py"] = scene.pipeline

    with pytest.raises(ValueError, match="costs nothing"):
        truths.made(plan(("model_regression", nothing)), "smoke", tmp_path)


def test_the_oracle_takes_only_what_is_admissible() -> None:
    """The benchmark's table says no more than the product's."""
    for cause, remedies in oracle.ADMISSIBLE.items():
        if cause != "natural":
            assert {Remedy(remedy) for remedy in remedies} <= ADMISSIBLE[Cause(cause)]
    assert set(oracle.ADMISSIBLE) == {*dealing.GROUPS, "natural"}

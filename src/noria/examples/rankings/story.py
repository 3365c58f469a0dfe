"""Do the study again: as it was published and mended, compare, choose, serve in three ways, and say so."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import noria
from noria.examples.house import House
from noria.examples.rankings import notice
from noria.examples.rankings.intervals import Verdict, judged, next_draw
from noria.examples.rankings.published import PUBLISHED
from noria.examples.rankings.screen import Screen
from noria.examples.rankings.serving import Served, serve_all

DATASET = "rankings"
DEFECTS = ("unseeded_model", "encode_all_rows", "fill_across_rows")
SEED_PARAMS = ("draw", "random_state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What the defects do to one measure of one experiment: mended less published, with a 95 % interval."""

    experiment: str
    published: float
    mended: float
    lower: float | None
    upper: float | None
    p_adjusted: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that the study came to."""

    dataset: str
    draws: int
    verdicts: list[Verdict]
    mended: list[Mended]
    models: dict[str, dict[str, Any]]
    served: list[Served]
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the person asked for."""

    data: str
    draws: int
    seed: int
    serve: bool
    mail_to: str | None
    run_options: tuple[str, ...] = ()


class Story:
    """Plays in one folder."""

    def __init__(self, house: House, screen: Screen, wishes: Wishes) -> None:
        self._house = house
        self._screen = screen
        self._wishes = wishes

    def tell(self) -> Outcome:
        """Do all of it."""
        house, screen, wishes = self._house, self._screen, self._wishes
        added = house.run_json("data", "import", wishes.data, "--name", DATASET)
        dataset = f"{DATASET}@{added['version']}"
        screen.say("data", f"{dataset}: {added['n_files']} files, {added['digest']}")
        screen.say("study", f"12 experiments as published, {wishes.draws} draws of each")
        published = self._sweep(dataset, mended=False)
        verdicts = compared(published)
        screen.verdicts(verdicts)
        screen.say("mended", "the same with seeds, encoding by training rows, no filling across rows")
        models = self._sweep(dataset, mended=True)["models"]
        mended = [row for data in models for row in self._differences(data)]
        screen.differences(mended)
        screen.models(models)
        served = serve_all(house, dataset, models, screen) if wishes.serve else []
        outcome = Outcome(
            dataset=dataset,
            draws=wishes.draws,
            verdicts=verdicts,
            mended=mended,
            models=models,
            served=served,
            notice=self._notify(verdicts, models, served),
        )
        screen.say("mail", outcome.notice)
        return outcome

    def _sweep(self, dataset: str, *, mended: bool) -> dict[str, Any]:
        switches = [f"-p{name}={'no' if mended else 'yes'}" for name in DEFECTS]
        sizes = [f"-pdata={dataset}", f"-pdraws={self._wishes.draws}", f"-pseed={self._wishes.seed}"]
        last = "register" if mended else "test_parts"
        options = [*sizes, *switches, f"-p{last}=yes", *self._wishes.run_options]
        answer: Any = self._house.run_json("run", "rankings_pipeline:study", *options)
        return {name: output["value"] for name, output in answer["outputs"].items()}

    def _differences(self, data: str) -> list[Mended]:
        """Compare both variants of each experiment, as `noria runs compare` does it."""
        seeds = [option for name in SEED_PARAMS for option in ("--seed-param", name)]
        group = ("--experiment", f"RF {data}", "--metric", "accuracy")
        found: Any = self._house.run_json("runs", "compare", *group, *seeds)
        groups = {group["label"]: group for group in found["groups"]}
        pairs = {frozenset((pair["first"], pair["second"])): pair for pair in found["pairs"]}
        by_experiment: dict[str, dict[bool, dict[str, Any]]] = {}
        for shown in groups.values():
            variants = by_experiment.setdefault(shown["params"]["experiment"], {})
            variants[shown["params"]["unseeded_model"] == "true"] = shown
        return [
            _difference(name, both[True], both[False], pairs)
            for name, both in sorted(by_experiment.items())
            if len(both) == 2
        ]

    def _notify(self, verdicts: list[Verdict], models: dict[str, Any], served: list[Served]) -> str:
        inside = sum(verdict.inside for verdict in verdicts)
        lines = [f"{inside} of {len(verdicts)} published values lie inside the measured intervals."]
        lines += [f"{found['ref']}: {found['experiment']}. {found['reason']}." for found in models.values()]
        lines += [one.sentence for one in served]
        subject = f"University rankings: {inside} of {len(verdicts)} published values reproduced"
        return notice.deliver(subject, "\n".join(lines) + "\n", self._house.folder, to=self._wishes.mail_to)


def compared(found: dict[str, Any]) -> list[Verdict]:
    """Put each published value beside the draws of its experiment."""
    verdicts = []
    for published in PUBLISHED:
        draws = found[published.part].get(published.experiment, [])
        for measure, text in published.values.items():
            values = [draw[measure] for draw in draws]
            if values:
                interval = next_draw(values)
                verdicts.append(
                    Verdict(
                        where=published.where,
                        experiment=published.experiment,
                        measure=measure,
                        published=text,
                        mean=math.fsum(values) / len(values),
                        interval=interval,
                        inside=judged(text, interval),
                    )
                )
    return verdicts


def _difference(
    name: str, published: dict[str, Any], mended: dict[str, Any], pairs: dict[frozenset[str], Any]
) -> Mended:
    pair = pairs.get(frozenset((published["label"], mended["label"])))
    lower = upper = None
    if pair is not None:
        # A pair says how much its first is above its second.
        ends = (pair["lower"], pair["upper"])
        lower, upper = ends if pair["first"] == mended["label"] else (-ends[1], -ends[0])
    return Mended(
        experiment=name,
        published=published["mean"],
        mended=mended["mean"],
        lower=lower,
        upper=upper,
        p_adjusted=None if pair is None else pair["p_adjusted"],
    )


def check_data(data: str | None) -> str:
    """Give the source of the data.

    Raises
    ------
    Invalid
        If there is none.
    """
    files = "cwurData.csv, timesData.csv and shanghaiData.csv"
    hint = (
        f"Give a folder or an archive with {files}, or its address: make rankings ARGS='--data PATH'. "
        "Kaggle has them as `mylesoneill/world-university-rankings`"
    )
    if data is None:
        raise noria.Invalid("The rankings come without data, which has a licence of its own", hint=hint)
    if "://" not in data:
        if not Path(data).exists():
            raise noria.Invalid(f"There is no file or folder `{data}`", hint=hint)
        return str(Path(data).resolve())
    return data

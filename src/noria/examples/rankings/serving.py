"""Serve a registered model in three ways, and see that all three say the same: over HTTP, in Python, file by file."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import noria
from noria.examples.house import House
from noria.examples.rankings.project.rankings_data import FEATURES, parts_of
from noria.examples.rankings.screen import Screen


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a served model said about the rows of the last year.

    Attributes
    ----------
    agree
        Whether the model server, the Python call and the batch file gave the same labels for all rows.
    """

    ref: str
    url: str
    n_rows: int
    agree: bool
    accuracy: float

    @property
    def sentence(self) -> str:
        """Say it."""
        same = "the same" if self.agree else "DIFFERENT"
        ways = "over HTTP, in Python and from a file"
        return f"{self.ref} says {same} labels for {self.n_rows} rows {ways}; accuracy {self.accuracy:.3f}."


def serve_all(house: House, dataset: str, models: dict[str, dict[str, Any]], screen: Screen) -> list[Served]:
    """Deploy each model, ask it in three ways, and make it champion if all of them agree."""
    served = []
    with house.open() as workspace, noria.use_workspace(workspace), house.up():
        files = noria.dataset(dataset).checkout(house.folder / "data", overwrite=True)
        for found in models.values():
            one = _serve(house, found, _rows(files, found["setting"]))
            if one.agree:
                house.run("models", "promote", one.ref, "champion")
            screen.say("serve", one.sentence)
            served.append(one)
    return served


def _rows(folder: Path, setting: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    sizes = {key: setting[key] for key in ("max_rank", "world_rank", "max_features")}
    parts = parts_of(folder, setting["data"], **sizes, fill_across_rows=False, encode_all_rows=False)
    names = FEATURES[setting["data"]][: setting["max_features"]]
    return {name: parts.x_valid[:, index] for index, name in enumerate(names)}, parts.y_valid


def _serve(house: House, found: dict[str, Any], rows: tuple[dict[str, Any], Any]) -> Served:
    ref, (x, y) = found["ref"], rows
    name = ref.partition("@")[0]
    house.run("deploy", f"{name}@candidate", "--to", name)
    with noria.endpoint(name) as endpoint:
        over_http = [int(label) for label in endpoint.predict(x).predictions]
    in_python = [int(label) for label in noria.model(ref).predict(x)]
    from_file = _batch(house, ref, x)
    right = sum(said == true for said, true in zip(over_http, y.tolist(), strict=True))
    return Served(
        ref=ref,
        url=f"{house.url}/endpoints/default/{name}",
        n_rows=len(y),
        agree=over_http == in_python == from_file,
        accuracy=right / len(y),
    )


def _batch(house: House, ref: str, x: dict[str, Any]) -> list[int]:
    folder = house.folder / "batch"
    folder.mkdir(exist_ok=True)
    stem = ref.replace("@", "-")
    rows, answers = folder / f"{stem}.csv", folder / f"{stem}-predictions.csv"
    with rows.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(x)
        writer.writerows(zip(*(column.tolist() for column in x.values()), strict=True))
    house.run("run", "rankings_pipeline:predict_file", f"-pmodel={ref}", f"-prows={rows}", f"-pto={answers}")
    with answers.open(newline="", encoding="utf-8") as file:
        return [int(row["prediction"]) for row in csv.DictReader(file)]

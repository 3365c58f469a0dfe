"""Where the files of imported versions lie."""

from __future__ import annotations

import pytest

from noria.interop.mlflow.importing.places import artifact_place

RUN, MODEL = "0123456789abcdef" * 2, "m-" + "fedcba9876543210" * 2


@pytest.mark.parametrize(
    ("source", "model_id", "place"),
    [
        (f"models:/{MODEL}", None, (f"logged-model:{MODEL}", "")),
        ("anything", MODEL, (f"logged-model:{MODEL}", "")),
        (f"file:///tmp/mlruns/1/models/{MODEL}/artifacts", None, (f"logged-model:{MODEL}", "")),
        (f"runs:/{RUN}/model", None, (f"run:{RUN}", "model")),
        (f"runs:/{RUN}", None, (f"run:{RUN}", "")),
        (f"s3://bucket/3/{RUN}/artifacts/a/b/", None, (f"run:{RUN}", "a/b")),
        (f"mlflow-artifacts:/3/{RUN}/artifacts", None, (f"run:{RUN}", "")),
        ("models:/other/3", None, None),
        ("s3://bucket/model", None, None),
        ("", None, None),
    ],
)
def test_a_source_names_a_run_or_a_logged_model(
    source: str, model_id: str | None, place: tuple[str, str] | None
) -> None:
    """URIs of runs and logged models, and addresses in their folders, are found; others have no place here."""
    found = artifact_place("default", source, model_id)

    assert (None if found is None else (found.of, found.folder)) == place

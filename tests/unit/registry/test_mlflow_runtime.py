"""Models in MLflow's format, loaded without MLflow."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from noria.core.errors import Corrupt, Invalid
from noria.registry.entities import Consent, Origin, ServableVersion, Signature, Task
from noria.registry.rules import ConsentMissing
from noria.registry.runtimes.mlflow import MlflowModel
from noria.registry.runtimes.mlflow_format import read_mlmodel
from noria.registry.runtimes.port import DistributionMissing, load_model
from support.mlflow_models import COLUMNS, column_specs, mlmodel_text, rows, saved_model

AT = datetime(2030, 1, 1, tzinfo=UTC)
DIGEST = "blake3:" + "1" * 64


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.write_text, (self.path, "boom"))


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def version(folder: Path, *, pickled: bool = False, consent: str | None = None) -> ServableVersion:
    facts = read_mlmodel((folder / "MLmodel").read_bytes(), [])
    assert facts is not None
    given = Consent(digest=consent, ref="m@1", given_by="ana", given_at=AT) if consent else None
    return ServableVersion(
        id="1",
        project="default",
        model="m",
        version=1,
        digest=DIGEST,
        format="mlflow",
        task=Task.CLASSIFICATION,
        signature=facts.signature or Signature(inputs=[], outputs=[]),
        classes=None,
        holdout=None,
        metrics={},
        origin=Origin(),
        message="",
        author="",
        created_at=AT,
        updated_at=AT,
        flavor="sklearn",
        pickled=pickled,
        consent=given,
    )


def test_a_skops_model_predicts_without_consent(tmp_path: Path) -> None:
    """It gives what the estimator gives, with probabilities."""
    folder = write(tmp_path, saved_model())
    x, y = rows()
    fitted = LogisticRegression().fit(x, y)
    loaded = load_model(folder, version(folder))
    answer = loaded.predict({"x": x})

    assert answer["predictions"].tolist() == fitted.predict(x).tolist()
    assert np.allclose(answer["probabilities"], fitted.predict_proba(x))
    assert loaded.features({"x": x}).shape == x.shape


def test_columns_reach_the_estimator_by_name(tmp_path: Path) -> None:
    """An estimator that was fitted on a frame gets a frame: in the right order, and without a warning."""
    x, y = rows()
    frame = pl.DataFrame({name: x[:, at] for at, name in enumerate(COLUMNS)})
    fitted = LogisticRegression().fit(frame, y)
    files = {"MLmodel": mlmodel_text(serialization="pickle", inputs=column_specs()).encode()}
    folder = write(tmp_path, {**files, "model.bin": pickle.dumps(fitted)})
    loaded = load_model(folder, version(folder, pickled=True, consent=DIGEST))
    swapped = {name: x[:, at] for at, name in reversed(list(enumerate(COLUMNS)))}

    assert loaded.predict(swapped)["predictions"].tolist() == fitted.predict(frame).tolist()


def test_a_pickle_needs_a_consent_to_these_very_files(tmp_path: Path) -> None:
    """Without one, or with one to other files, nothing of it is executed; the message has the command that mends."""
    target = tmp_path / "boom.txt"
    files = {
        "MLmodel": mlmodel_text(serialization="cloudpickle").encode(),
        "model.bin": pickle.dumps(Bomb(target)),
    }
    folder = write(tmp_path / "model", files)
    for known in (
        version(folder, pickled=True),
        version(folder, pickled=True, consent="blake3:" + "2" * 64),
        version(folder, pickled=False),
    ):
        with pytest.raises(ConsentMissing) as caught:
            load_model(folder, known)
        assert "noria models consent m@1" in (caught.value.hint or "")
    assert not target.exists()

    load_model(folder, version(folder, pickled=True, consent=DIGEST))
    assert target.read_text() == "boom"


def test_a_pickle_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """With what it raised, and what to install."""
    files = {
        "MLmodel": mlmodel_text(serialization="pickle").encode(),
        "model.bin": b"cno_such_module\nThing\n.",
    }
    folder = write(tmp_path, files)
    with pytest.raises(Corrupt, match="no_such_module"):
        load_model(folder, version(folder, pickled=True, consent=DIGEST))


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"MLmodel": mlmodel_text(flavor="xgboost").encode()}, Corrupt),
        ({"MLmodel": mlmodel_text(flavor="torch").encode()}, DistributionMissing),
        ({"MLmodel": mlmodel_text(function="predict_proba").encode()}, Invalid),
        ({"MLmodel": mlmodel_text(serialization="else").encode()}, Invalid),
        ({"MLmodel": mlmodel_text(file="../../etc/passwd").encode()}, Corrupt),
        ({"MLmodel": mlmodel_text(file="/etc/passwd").encode()}, Corrupt),
        ({"MLmodel": mlmodel_text().encode(), "model.bin": b"no zip"}, Corrupt),
    ],
)
def test_what_cannot_be_served_is_refused(
    tmp_path: Path, files: dict[str, bytes], error: type[Exception]
) -> None:
    """Files that are not there, libraries that need MLflow, other functions than `predict`, and unknown forms."""
    folder = write(tmp_path, files)
    with pytest.raises(error):
        load_model(folder, version(folder, consent=DIGEST))


def test_a_folder_without_an_mlmodel_file_is_refused(tmp_path: Path) -> None:
    """It is said what is missing."""
    files = write(tmp_path / "good", saved_model())
    with pytest.raises(Corrupt, match="MLmodel"):
        MlflowModel.load(tmp_path, msgspec.structs.replace(version(files)))

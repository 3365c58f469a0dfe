"""Autologging without what it needs; with it, see `tests/peers/test_mlflow_autolog.py`."""

from __future__ import annotations

import importlib.util

import pytest

import noria
from noria.tracking.autolog import MlflowMissing


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="MLflow is installed here")
def test_without_mlflow_the_mend_is_told() -> None:
    """The error holds the command that installs it."""
    with pytest.raises(MlflowMissing, match="not installed") as caught:
        noria.autolog()

    assert caught.value.hint == "pip install mlflow-skinny"

"""What an `MLmodel` file says, read without MLflow."""

from __future__ import annotations

import pytest

from noria.registry.entities import Signature, Task, TensorSpec
from noria.registry.runtimes.mlflow_format import LIMIT_BYTES, MlmodelFacts, read_mlmodel
from support.mlflow_models import column_specs, mlmodel_text, tensor_spec


def read(text: str, *paths: str) -> MlmodelFacts:
    facts = read_mlmodel(text.encode(), ["MLmodel", *paths])
    assert facts is not None
    return facts


def test_a_classifier_with_named_columns_is_understood() -> None:
    """Flavor, signature and task come from the file; columns that are not required may be missing."""
    inputs = [*column_specs(["size"]), {"type": "string", "name": "kind", "required": False}]
    facts = read(mlmodel_text(inputs=inputs, outputs=[{"type": "long", "required": True}]), "model.bin")

    assert (facts.flavor, facts.pickled, facts.task) == ("sklearn", False, Task.CLASSIFICATION)
    assert facts.signature == Signature(
        inputs=[
            TensorSpec(name="size", datatype="FP64", shape=[-1]),
            TensorSpec(name="kind", datatype="BYTES", shape=[-1], nullable=True),
        ],
        outputs=[TensorSpec(name="predictions", datatype="INT64", shape=[-1])],
    )


def test_a_tensor_without_a_name_is_the_input_x() -> None:
    """As Noria names the one array that a model was fitted on."""
    facts = read(mlmodel_text(inputs=tensor_spec([-1, 8, 8], "float32")))

    assert facts.signature is not None
    assert facts.signature.inputs == [TensorSpec(name="x", datatype="FP32", shape=[-1, 8, 8])]


@pytest.mark.parametrize(
    ("outputs", "task"),
    [
        (tensor_spec([-1], "int64"), Task.CLASSIFICATION),
        (tensor_spec([-1], "str"), Task.CLASSIFICATION),
        (tensor_spec([-1], "bool"), Task.CLASSIFICATION),
        (tensor_spec([-1], "float64"), Task.REGRESSION),
        ([{"type": "double"}], Task.REGRESSION),
        (tensor_spec([-1, 3], "float64"), None),
        (column_specs(["a", "b"]), None),
    ],
)
def test_the_task_follows_from_the_type_of_the_only_output(
    outputs: list[dict[str, object]], task: Task | None
) -> None:
    """Whole numbers, texts and truth values are classes, other numbers are measures; several outputs tell nothing."""
    assert read(mlmodel_text(outputs=outputs)).task is task


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [{"type": "datetime", "name": "at"}],
        [{"type": "object", "name": "o", "properties": {}}],
        column_specs(["a", "a"]),
        tensor_spec([4, 8]),
        tensor_spec([-1, -1]),
        tensor_spec([-1, 0]),
        tensor_spec([]),
        tensor_spec([-1], "datetime64[ns]"),
        [{"type": "tensor"}],
        [{"type": "double", "name": 5}],
    ],
)
def test_inputs_that_are_no_arrays_leave_the_signature_unknown(inputs: list[dict[str, object]]) -> None:
    """Nothing is guessed: a model of such a signature is kept, and not served."""
    facts = read(mlmodel_text(inputs=inputs))

    assert facts.signature is None
    assert facts.task is None


@pytest.mark.parametrize(
    ("text", "paths", "pickled"),
    [
        (mlmodel_text(serialization="skops"), ["model.bin"], False),
        (mlmodel_text(serialization="cloudpickle"), ["model.bin"], True),
        (mlmodel_text(serialization="pickle"), ["model.pkl"], True),
        (mlmodel_text(serialization="else"), ["model.bin"], True),
        (mlmodel_text(flavor="xgboost"), ["model.xgb"], False),
        (mlmodel_text(flavor="pytorch"), ["data/model.pth"], True),
        (mlmodel_text(flavor="custom"), ["python_model.pkl"], True),
        (mlmodel_text(serialization="skops") + "flavors: {}\n", ["x"], None),
    ],
)
def test_pickles_are_recognised(text: str, paths: list[str], pickled: bool | None) -> None:
    """By what scikit-learn's section says, and by the names of files for all others."""
    found = read_mlmodel(text.encode(), paths)

    assert (found.pickled if found else None) == pickled


def test_the_library_is_named_before_the_plain_function() -> None:
    """A model of no library has the flavor that all have."""
    assert read(mlmodel_text(flavor="xgboost")).flavor == "xgboost"
    assert read("flavors:\n  python_function:\n    loader_module: x\n").flavor == "python_function"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"just text",
        b"flavors: []",
        b"flavors: 5",
        b"- a\n- b",
        b"flavors: {a: [}",
        b"\xff\xfe\x00",
        b"flavors: !!python/object/apply:os.system ['true']",
        b"[" * 5000,
        b"a" * (LIMIT_BYTES + 1),
    ],
)
def test_what_is_no_mlmodel_file_is_none(data: bytes) -> None:
    """Nothing in it is executed, and nothing in it makes the reader fail."""
    assert read_mlmodel(data, ["MLmodel"]) is None

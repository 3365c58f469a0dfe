"""What `.dvc` files, locks and stages say."""

from __future__ import annotations

import pytest

from noria.interop.dvc.entities import Output
from noria.interop.dvc.files import LIMIT_BYTES, is_read, read_outputs

A, B = "a" * 32, "b" * 32


def outputs(**files: str) -> list[Output]:
    found, passed = read_outputs({name: text.encode() for name, text in files.items()}, "c")
    assert passed == []
    return found


def reason(text: str, *, name: str = "data/x.csv.dvc") -> tuple[str, str]:
    found, (passed,) = read_outputs({name: text.encode()}, "c")
    assert found == []
    assert passed.commit == "c"
    return passed.path, passed.why


@pytest.mark.parametrize("path", ["x.csv.dvc", "a/b.dvc", "dvc.lock", "a/dvc.yaml"])
def test_files_of_dvc_are_read(path: str) -> None:
    """Pointers, locks and stages, wherever they lie."""
    assert is_read(path)


@pytest.mark.parametrize("path", [".dvc", "a/.dvc", "dvc.lock.bak", "x.csv", "dvc"])
def test_other_files_are_not(path: str) -> None:
    """The folder `.dvc` is none of them."""
    assert not is_read(path)


def test_a_pointer_names_a_file_or_a_folder_beside_it() -> None:
    """Its path is relative to the folder of the pointer, or to `wdir`."""
    found = outputs(
        **{
            "data/x.csv.dvc": f"outs:\n- {{md5: {A}, path: x.csv, size: 3, isexec: true}}",
            "images.dvc": f"wdir: data\nouts:\n- {{md5: {B}.dir, path: images, nfiles: 2}}",
        }
    )

    assert found == [
        Output(path="data/images", md5=f"{B}.dir"),
        Output(path="data/x.csv", md5=A, executable=True),
    ]
    assert [output.is_folder for output in found] == [True, False]


def test_an_md5_of_digits_alone_is_text() -> None:
    """Whoever wrote the file may have left out the quotes."""
    assert outputs(**{"x.dvc": f"outs:\n- {{md5: {'0' * 32}, path: x}}"})[0].md5 == "0" * 32


def test_a_lock_names_the_outputs_of_stages() -> None:
    """Those that are kept in git are told as such, those of a stage with a folder of its own stand below it."""
    lock = f"""
schema: '2.0'
stages:
  train@cwur:
    cmd: train
    deps: [{{path: data.csv, md5: {A}}}]
    outs:
    - {{path: model.pkl, md5: {A}}}
    - {{path: scores.json, md5: {B}}}
"""
    stages = """
stages:
  train:
    foreach: [cwur]
    do:
      wdir: out
      cmd: train
      outs: [model.pkl]
      metrics: [{scores.json: {cache: false}}]
"""
    found, (passed,) = read_outputs({"p/dvc.lock": lock.encode(), "p/dvc.yaml": stages.encode()}, "c")

    assert found == [Output(path="p/out/model.pkl", md5=A)]
    assert (passed.path, passed.why) == ("p/out/scores.json", "it is kept in git, not in DVC's cache")


def test_a_lock_of_the_first_schema_is_read() -> None:
    """Its stages stand at the top; without readable stages every output is believed to be in the cache."""
    files = {"dvc.lock": f"train:\n  outs:\n  - {{path: m, md5: {A}}}", "dvc.yaml": "stages: [broken"}
    assert outputs(**files) == [Output(path="m", md5=A)]


@pytest.mark.parametrize(
    ("text", "path", "why"),
    [
        (f"outs:\n- {{md5: {A}, path: ../../etc/passwd}}", "../etc/passwd", "not allowed in a tree"),
        (f"outs:\n- {{md5: {A}, path: /etc/passwd}}", "/etc/passwd", "it is absolute"),
        (f"outs:\n- {{md5: {A}, path: 's3://b/x'}}", "data/s3:/b/x", "outside the repository"),
        ("outs:\n- {md5: ../../x, path: x}", "data/x", "`../../x` is no MD5"),
        ("outs:\n- {md5: 7, path: x}", "data/x", "`7` is no MD5"),
        ("outs:\n- {path: x}", "data/x", "it has no MD5 yet"),
        ("outs:\n- {etag: abc, path: x}", "data/x", "known by `etag`"),
        ("outs:\n- {md5: x}", "data", "an output has no path"),
        (f"outs:\n- {{md5: {A}, path: x, cache: false}}", "data/x", "kept in git"),
        ("[1, 2]", "data/x.csv.dvc", "is not a file of DVC"),
        ("a: [", "data/x.csv.dvc", "cannot be read as YAML"),
        ("!!python/object/apply:os.system [id]", "data/x.csv.dvc", "is not a file of DVC"),
        ("\x00", "data/x.csv.dvc", "cannot be read as YAML"),
        ("#" * (LIMIT_BYTES + 1), "data/x.csv.dvc", "the limit is"),
    ],
)
def test_what_cannot_be_imported_is_told_with_the_reason(text: str, path: str, why: str) -> None:
    """Nothing that the files say leads out of the repository or is believed unchecked."""
    assert reason(text)[0] == path
    assert why in reason(text)[1]

"""Whatever is configured, there are settings or an error that names what is wrong."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from noria.core.config import ENVIRONMENT, SECTIONS, Settings, load_settings
from noria.core.errors import ConfigInvalid

NAMES = st.sampled_from([*SECTIONS, "projct", "x"]) | st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
KEYS = st.sampled_from(
    ["name", "url", "database", "objects", "window_rows", "weights", "host", "port", "gates"]
)
VALUES = st.recursive(
    st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.text(max_size=10).map(lambda text: text.strip("\x7f")),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
TABLES = st.dictionaries(NAMES, st.dictionaries(KEYS | NAMES, VALUES, max_size=3), max_size=3)
PLACES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)


def toml_of(tables: dict[str, dict[str, object]]) -> str:
    """Write tables as TOML; JSON's numbers, truth values, texts and lists are TOML's too."""
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {json.dumps(value, ensure_ascii=True)}" for key, value in table.items()]
    return "\n".join(lines)


def load(text: str, environ: dict[str, str]) -> Settings | ConfigInvalid:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "noria.toml").write_text(text, encoding="utf-8")
        try:
            return load_settings(environ=environ, folder=Path(folder))
        except ConfigInvalid as error:
            return error


@given(TABLES)
@example({"monitors": {"window_rows": 10**18}})
@example({"project": {"name": ""}})
def test_any_file_is_read_or_refused_by_name(tables: dict[str, dict[str, object]]) -> None:
    """No other error comes out, and a refusal names a section of the file or says that it is no TOML."""
    found = load(toml_of(tables), {})

    if isinstance(found, ConfigInvalid):
        assert found.hint
        assert "not valid TOML" in found.message or any(name in found.message for name in tables)
    else:
        assert set(found.sections) == set(tables)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    """A file of anything."""
    found = load(text.encode("utf-8", "replace").decode(), {})

    assert isinstance(found, (Settings, ConfigInvalid))


@given(st.dictionaries(st.sampled_from(sorted(ENVIRONMENT)), PLACES, max_size=4))
def test_any_environment_gives_settings_or_is_refused(environ: dict[str, str]) -> None:
    """A local workspace is an absolute place, whatever was written."""
    found = load("", environ)

    if isinstance(found, Settings) and not found.is_remote:
        assert Path(found.workspace).is_absolute()
        assert Path(found.objects_url).is_absolute() or "://" in found.objects_url

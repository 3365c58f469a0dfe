"""Manifests as YAML that every reader reads alike.

Readers disagree on what a bare word is: `no` is false to YAML 1.1, `1e3` a number to Go's reader and a word to
PyYAML, `0o17` the other way round. So only words that none of them could take for anything else stand bare; whatever
else is text stands in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

Manifest = Mapping[str, Any]

_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:[./-][A-Za-z0-9_]+)*")
_TAKEN: Final = frozenset(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"}
)
_LINES = re.compile(r"(?:[!-~][ -~]*\n|\n)*[!-~][ -~]*\n")
"""Lines of printable ASCII that begin with no space: what a literal block holds as it is."""


def to_yaml(documents: Iterable[Manifest]) -> str:
    """Write manifests as one YAML stream: the same bytes for the same manifests, keys in the order given."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes text by our rule, and never an anchor."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the method of PyYAML
            return True

    Dumper.add_representer(str, _represent)
    return "".join(
        "---\n" + yaml.dump(each, Dumper=Dumper, sort_keys=False, default_flow_style=False, width=10_000)
        for each in documents
    )


def _represent(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=_style(text))


def _style(text: str) -> str | None:
    if _BARE.fullmatch(text) and text.lower() not in _TAKEN:
        return None
    return "|" if _LINES.fullmatch(text) else '"'

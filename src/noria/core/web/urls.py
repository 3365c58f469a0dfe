"""Every address of a page. Templates and pages ask here; no other module joins paths."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from noria.core.web.assets import asset_path
from noria.core.web.languages import Language

LANGUAGE_PARAMETER = "lang"

OVERVIEW_PATH = "/"
PROJECT_PATH = "/projects/{project}"
DECISION_PATH = "/decisions/{project}/{record_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """Makes addresses that keep the language which the reader chose.

    Attributes
    ----------
    language
        As the address of the present page says it; None when the browser chose.
    """

    language: Language | None = None

    def overview(self, project: str | None = None, *, after: str | None = None) -> str:
        """Give the overview of a project, or of the first one; `after` names the model that the list follows."""
        path = OVERVIEW_PATH if project is None else PROJECT_PATH.format(project=_part(project))
        return self._with_query(path, {"after": after})

    def decision(self, project: str, record_id: str) -> str:
        """Give the story of a decision."""
        return self._with_query(DECISION_PATH.format(project=_part(project), record_id=_part(record_id)), {})

    def record_json(self, project: str, record_id: str) -> str:
        """Give a decision record as programs read it."""
        return f"/api/v1/projects/{_part(project)}/decision-records/{_part(record_id)}"

    def asset(self, name: str) -> str:
        """Give a static file, in an address that changes with its content."""
        return asset_path(name)

    def in_language(self, here: str, language: Language) -> str:
        """Give an address of ours in another language.

        Examples
        --------
        >>> Urls().in_language("/?after=a%2Fb", Language.SPANISH)
        '/?after=a%2Fb&lang=es'
        """
        path, _, query = here.partition("?")
        kept = [(name, value) for name, value in parse_qsl(query) if name != LANGUAGE_PARAMETER]
        return f"{path}?{urlencode([*kept, (LANGUAGE_PARAMETER, language.value)])}"

    def _with_query(self, path: str, given: dict[str, str | None]) -> str:
        pairs = [(name, value) for name, value in given.items() if value is not None]
        if self.language is not None:
            pairs.append((LANGUAGE_PARAMETER, self.language.value))
        return f"{path}?{urlencode(pairs)}" if pairs else path


def _part(text: str) -> str:
    return quote(text, safe="")

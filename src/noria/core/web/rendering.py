"""Turn a context into HTML: strict about what templates use, careful about what users wrote."""

from __future__ import annotations

import functools
import importlib.resources
import re
import time
from collections.abc import Callable, Iterable
from gettext import NullTranslations
from types import CodeType
from typing import Final

import msgspec
from jinja2 import BaseLoader, BytecodeCache, Environment, StrictUndefined, TemplateNotFound
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from noria.core.ids import is_id
from noria.core.web.cells import Cells, author
from noria.core.web.charts import Chart, figure, packed, point_table
from noria.core.web.formats import Formats, clipped
from noria.core.web.languages import Language, translations
from noria.core.web.markdown import markdown
from noria.core.web.pages import Frame, PageContext
from noria.core.web.parts import together
from noria.core.web.phrases import Phrase, Place
from noria.core.web.pictures import picture
from noria.core.web.retelling import CODE, Sentence
from noria.core.web.revisions import tags_revision, text_revision

PAGE_HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "vary": "accept-language",
}
"""Headers of every page: nothing is loaded from elsewhere, and no style or script stands in the page itself.

There is no exception for the chart library. Its build for strict policies evaluates no text; it sets the styles of what
it draws one by one through the elements' `style` property, which is not what `style-src` is about, and
`_chart_scripts.html` keeps it from putting style sheets into the page.
"""

PACKAGES = "noria."
PACKAGE_OF_PARTS = "noria.core.web"

_TOLD: Final = 2000
_END_OF_ID: Final = 8
_TICKED = re.compile(r"`([^`\n]{1,200})`")


def prose(text: str) -> Markup:
    """Give a sentence as HTML: escaped, and what stands in backticks as code.

    Examples
    --------
    >>> prose("`a<b` & c")
    Markup('<code>a&lt;b</code> &amp; c')
    """
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before the tags come in


class Telling:
    """Tells a sentence that is stored in English, in another language where its words are ours.

    What nobody of ours said stays English, and says so to whoever reads the page aloud.
    """

    def __init__(self, catalogue: NullTranslations, formats: Formats) -> None:
        self._catalogue, self._formats = catalogue, formats

    def __call__(self, sentence: Sentence, length: int = _TOLD) -> Markup:
        """Give a sentence as HTML, cut after so many letters."""
        shown = prose(clipped(self._text(sentence), length))
        return shown if sentence.is_known else Markup('<span lang="en">{}</span>').format(shown)

    def said(self, sentence: Sentence, length: int = _TOLD) -> Markup:
        """Give what somebody said: ours as a sentence, what people wrote as it is, whose language nobody knows."""
        return self(sentence, length) if sentence.is_known else escape(clipped(sentence.words, length))

    def _text(self, sentence: Sentence) -> str:
        if not sentence.is_known:
            return sentence.words
        values = {name: self._value(sentence, name) for name in sentence.values}
        return self._catalogue.gettext(sentence.words) % values

    def _value(self, sentence: Sentence, name: str) -> str:
        text = self._text(sentence.values[name])
        # What stands in backticks is a name, though it may look like a figure, and is told whole.
        if f"`%({name})s`" in sentence.words or CODE in name:
            return text
        return f"…{text[-_END_OF_ID:]}" if is_id(text) else self._formats.figure(text)


class Phrasing:
    """Says a phrase in a language, with names set off from the words around them."""

    def __init__(self, catalogue: NullTranslations, formats: Formats) -> None:
        self._catalogue, self._formats = catalogue, formats

    def __call__(self, phrase: Phrase) -> Markup:
        """Give a phrase as HTML."""
        shown = {name: self._shown(place) for name, place in phrase.places.items()}
        return Markup(escape(self._catalogue.gettext(phrase.words))) % shown  # noqa: S704 - escaped just before

    def _shown(self, place: Place) -> Markup:
        if place.number is not None:
            formats = self._formats
            return escape((formats.whole_percent if place.is_share else formats.number)(place.number))
        if place.is_ours:
            return escape(self._catalogue.gettext(place.text))
        return Markup("<strong>{}</strong>").format(place.text)


class Words:
    """Translates a text that is no literal in the template: what `mark` gathered, or what a user wrote.

    The result is escaped like any other value. `_` must never be given such a text: it takes its argument for a part
    of the template, which is shown as it is.
    """

    def __init__(self, catalogue: NullTranslations) -> None:
        self._catalogue = catalogue

    def __call__(self, text: str) -> str:
        """Give the translation, or the text itself where there is none."""
        return self._catalogue.gettext(text) if text else text


class PackageTemplates(BaseLoader):
    """Finds `package/file` in the folder `templates` of an installed package of ours."""

    def get_source(
        self,
        environment: Environment,  # noqa: ARG002 - the base's signature
        template: str,
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Read a template."""
        package, _, name = template.partition("/")
        if not package.startswith(PACKAGES) or not name:
            raise TemplateNotFound(template)
        place = importlib.resources.files(package) / "templates" / name
        if not place.is_file():
            raise TemplateNotFound(template)
        return place.read_text(encoding="utf-8"), str(place), None


class _SharedCode(BytecodeCache):
    """Compiled templates, for the environments of all languages: they differ in what is called, not in the code."""

    def __init__(self) -> None:
        self._compiled: dict[str, CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give the code of a template that another language compiled."""
        bucket.code = self._compiled.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template."""
        if bucket.code is not None:
            self._compiled[bucket.key] = bucket.code


_CODE: Final = _SharedCode()


def compile_beside(templates: Iterable[str], *, rests: float = 0.0) -> int:
    """Compile all templates in the folders of some, as the first readers of pages would have to wait for.

    Parameters
    ----------
    rests
        How many times as long as each template took to wait after it. A page is answered in a hundred pieces between
        which it lets go of the interpreter; a thread that never rests would have it wait for each of them.

    Returns
    -------
    int
        How many there are.
    """
    found = environment(Language.ENGLISH)
    n_compiled = 0
    for package in sorted({PACKAGE_OF_PARTS, *(name.partition("/")[0] for name in templates)}):
        for place in (importlib.resources.files(package) / "templates").iterdir():
            if place.name.endswith(".html"):
                began = time.thread_time()
                found.get_template(f"{package}/{place.name}")
                n_compiled += 1
                if rests:
                    time.sleep(rests * (time.thread_time() - began))
    return n_compiled


@functools.cache
def environment(language: Language) -> Environment:
    """Give the templates of a language."""
    made = Environment(
        loader=PackageTemplates(),
        autoescape=True,
        undefined=StrictUndefined,
        bytecode_cache=_CODE,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue = translations(language)
    made.install_gettext_callables(catalogue.gettext, catalogue.ngettext, newstyle=True)  # type: ignore[attr-defined]
    formats = Formats(language)
    made.globals["fmt"] = formats
    words = Words(catalogue)
    made.globals["words"] = words
    made.filters["cells"] = Cells(formats, words)
    made.filters["prose"] = prose
    made.filters["author"] = author
    telling = Telling(catalogue, formats)
    made.filters["told"] = telling
    made.filters["said"] = telling.said
    made.filters["phrased"] = Phrasing(catalogue, formats)
    made.filters["markdown"] = markdown
    made.filters["together"] = together
    made.filters["text_revision"] = text_revision
    made.filters["tags_revision"] = tags_revision
    made.filters["point_table"] = point_table
    made.filters["picture"] = picture
    made.filters["figure"] = functools.partial(_figure_json, decimal_comma=formats.has_decimal_comma)
    return made


def _figure_json(chart: Chart, *, decimal_comma: bool) -> str:
    return msgspec.json.encode(packed(figure(chart, decimal_comma=decimal_comma))).decode()


def render(template: str, page: PageContext, frame: Frame) -> bytes:
    """Give the HTML of a page."""
    found = environment(frame.language).get_template(template)
    return found.render(page=page, frame=frame).encode()

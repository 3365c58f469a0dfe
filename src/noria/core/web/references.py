"""References to things, `model:digits@3`, as people meet them: an address, and words for the kind. Pure."""

from __future__ import annotations

from collections.abc import Callable

from noria.core.web.languages import mark
from noria.core.web.urls import Urls

KIND_WORDS = {
    "run": mark("run"),
    "experiment": mark("experiment"),
    "model": mark("model"),
    "dataset": mark("data set"),
    "endpoint": mark("endpoint"),
    "rollout": mark("rollout"),
    "record": mark("decision"),
    "step": mark("step"),
    "object": mark("object"),
}
"""Kind of a thing in a reference → words to be translated."""

OTHER_WORDS = mark("other")

_NUMBER_DIGITS = 15


def kind_words(ref: str) -> str:
    """Give words for the kind of a thing, to be translated.

    Examples
    --------
    >>> kind_words("dataset:digits@2"), kind_words("https://example.org/x")
    ('data set', 'other')
    """
    return KIND_WORDS.get(ref.partition(":")[0], OTHER_WORDS)


def reference_url(urls: Urls, project: str, ref: str) -> str | None:
    """Give the page of what a reference names; None where there is none.

    Examples
    --------
    >>> reference_url(Urls(), "p", "model:digits@3"), reference_url(Urls(), "p", "user:ana")
    ('/projects/p/models/digits/versions/3', None)
    """
    kind, _, name = ref.partition(":")
    make = _PAGES.get(kind)
    return make(urls, project, name) if make and name else None


def split_version(name: str) -> tuple[str, int | None]:
    """Take the version off a name.

    Examples
    --------
    >>> split_version("digits@3"), split_version("a@b")
    (('digits', 3), ('a@b', None))
    """
    plain, at, number = name.rpartition("@")
    is_version = at and number.isascii() and number.isdecimal() and len(number) <= _NUMBER_DIGITS
    return (plain, int(number)) if is_version else (name, None)


def _model(urls: Urls, project: str, name: str) -> str:
    plain, version = split_version(name)
    return urls.model(project, name) if version is None else urls.version(project, plain, version)


def _dataset(urls: Urls, project: str, name: str) -> str:
    plain, version = split_version(name)
    return urls.dataset(project, name) if version is None else urls.dataset_version(project, plain, version)


_PAGES: dict[str, Callable[[Urls, str, str], str]] = {
    "run": lambda urls, project, name: urls.run(project, name),
    "experiment": lambda urls, project, name: urls.experiment(project, name),
    "model": _model,
    "dataset": _dataset,
    "endpoint": lambda urls, project, name: urls.endpoint(project, name),
    "rollout": lambda urls, project, name: urls.rollout(project, name),
    "incident": lambda urls, project, name: urls.incident(project, name),
    "record": lambda urls, project, name: urls.decision(project, name),
}

"""What the workspace key vouches for, in forms and cookies."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from noria.core.web.cookies import Cookie, read_cookie
from noria.core.web.notices import Notice, close_notice, open_notice
from noria.core.web.seals import Seals

MONDAY = datetime(2026, 1, 5, 23, 59, tzinfo=UTC)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = MONDAY


@pytest.fixture
def time() -> Time:
    """Give a clock."""
    return Time()


@pytest.fixture
def seals(time: Time) -> Seals:
    """Give the seals of a workspace."""
    return Seals("the key", lambda: time.now)


def test_a_form_is_good_today_and_tomorrow(seals: Seals, time: Time) -> None:
    """A page that stands open over midnight still works; after two days its form is too old."""
    token = seals.form_token("session a", page="/")
    time.now += timedelta(hours=24)
    tomorrow = seals.is_form_token(token, "session a")
    time.now += timedelta(hours=24)

    assert tomorrow
    assert not seals.is_form_token(token, "session a")


def test_a_form_is_one_reader_s_and_one_workspace_s(seals: Seals) -> None:
    """The token of another session, of another workspace, or made up, is refused."""
    token = seals.form_token("session a", page="/")
    others = Seals("another key", lambda: MONDAY)

    assert seals.is_form_token(token, "session a")
    assert not seals.is_form_token(token, "session b")
    assert not others.is_form_token(token, "session a")
    for forged in ("", token[:-1], token.swapcase(), "ñ", "\udcff"[:0]):
        assert not seals.is_form_token(forged, "session a")


def test_each_page_has_a_token_of_its_own(seals: Seals) -> None:
    """What somebody reads of one page's token by its packed length tells nothing of another's; all are good."""
    tokens = [seals.form_token("session a", page=f"/runs?filter={guess}") for guess in "ab"]

    assert all(seals.is_form_token(token, "session a") for token in tokens)
    assert sum(x == y for x, y in zip(*tokens, strict=True)) < 20
    assert tokens[0] == seals.form_token("session a", page="/runs?filter=a")


def test_what_is_closed_comes_back(seals: Seals) -> None:
    """A text goes through a browser unseen and unchanged."""
    closed = seals.close("words ñ", "notice")

    assert "words" not in closed
    assert seals.open(closed, "notice", life=timedelta(minutes=1)) == "words ñ"
    assert closed != seals.close("words ñ", "notice")


def test_what_is_closed_opens_for_its_purpose_and_time(seals: Seals, time: Time) -> None:
    """Another purpose, another workspace, a changed character or a later hour open nothing."""
    closed = seals.close("words", "notice")
    life = timedelta(minutes=2)
    changed = [closed[:i] + ("A" if closed[i] != "A" else "B") + closed[i + 1 :] for i in range(len(closed))]

    assert seals.open(closed, "form", life=life) is None
    assert Seals("another key", lambda: MONDAY).open(closed, "notice", life=life) is None
    assert not [each for each in changed[:-1] if seals.open(each, "notice", life=life)]
    for broken in ("", "x", "%", closed[:20], closed + "AAAA", "ñ"):
        assert seals.open(broken, "notice", life=life) is None
    time.now += timedelta(minutes=3)
    assert seals.open(closed, "notice", life=life) is None


def test_a_notice_that_is_too_long_loses_its_way_back_first(seals: Seals) -> None:
    """What no cookie holds goes without the button, and without all where the words alone are too long."""
    long = [("run", "r" * 32)] * 200
    kept = close_notice(seals, Notice(words="Done", undo="/undo", undo_fields=long))
    short = close_notice(seals, Notice(words="Done", undo="/undo", undo_fields=long[:3]))

    assert kept is not None
    assert open_notice(seals, kept.value) == Notice(words="Done")
    assert len(kept.header(secure=True)) < 4096
    assert short is not None
    assert open_notice(seals, short.value) == Notice(words="Done", undo="/undo", undo_fields=long[:3])
    assert close_notice(seals, Notice(words="w" * 5000)) is None


def test_a_cookie_holds_nothing_that_ends_it() -> None:
    """A value with a semicolon or a line end is a programmer's error, not a second cookie."""
    for value in ("a;b", "a\r\nb", "a b", "ñ", 'a"b'):
        with pytest.raises(ValueError, match="cannot hold"):
            Cookie(name="n", value=value).header(secure=False)


def test_a_cookie_is_taken_back() -> None:
    """Without a value it ends at once, however long it was to live."""
    header = Cookie(name="n", value="", life=timedelta(days=3), is_strict=True).header(secure=False)

    assert header == "n=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("n=1", "1"),
        ("m=2; n=1", "1"),
        ("n=1; n=2", "1"),
        ("nn=1", None),
        ("n", None),
        ("n=", None),
        ("", None),
        ("n=a=b", "a=b"),
        (";;n=1;", "1"),
    ],
)
def test_a_cookie_is_read_by_its_whole_name(header: str, value: str | None) -> None:
    """The first of a name counts, and no other name that ends or begins alike."""
    assert read_cookie(header, "n") == value

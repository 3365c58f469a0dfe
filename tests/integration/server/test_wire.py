"""What travels between a client and the server arrives as it was sent, errors included."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import noria
from noria.core.errors import ErrorBody, Invalid, NoriaError, TooLarge, Unavailable, error_from_body
from noria.core.http_errors import ServerFault
from noria.core.remote import HttpTransport, remote_service
from support.echo import Echo, Raised, Said, Shade

SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
"""The examples of one test share a server: nothing of one is kept for the next."""

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
zones = st.integers(-720, 720).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.fixture
def echo(transport: HttpTransport) -> Echo:
    """Give the remote service."""
    return remote_service(Echo, transport)


@SHARED
@given(
    text=texts.filter(bool)
    | st.sampled_from([".", "..", "/", "a/../b", "%2F", "%", "?", "#", "//", "\u202e", " "]),
    number=st.integers(-(2**63), 2**63 - 1),
    word=texts,
    count=st.none() | st.integers(-(2**63), 2**63 - 1),
    ratio=st.floats(allow_nan=False, allow_infinity=False),
    flag=st.booleans(),
    shade=st.none() | st.sampled_from(Shade),
    at=st.none() | st.datetimes(timezones=zones),
    words=st.none() | st.lists(texts, min_size=1, max_size=3),
)
def test_arguments_arrive_as_they_were_given(
    echo: Echo,
    text: str,
    number: int,
    word: str,
    count: int | None,
    ratio: float,
    flag: bool,
    shade: Shade | None,
    at: datetime | None,
    words: list[str] | None,
) -> None:
    """Whatever text, number, time or list goes into path and query, the service sees the same."""
    heard = echo.plain(text, number, word, count, ratio, flag, shade, at=at, words=words)

    assert (heard.text, heard.number, heard.word, heard.count) == (text, number, word, count)
    assert (heard.ratio, heard.flag, heard.shade, heard.at) == (ratio, flag, shade, at)
    assert heard.words == words


@SHARED
@given(
    st.builds(
        Said,
        text=st.text(st.characters(exclude_categories=["Cs"])),
        figure=st.floats(allow_nan=False, allow_infinity=False),
        parts=st.lists(texts, max_size=3),
        nested=st.none() | st.dictionaries(texts, st.integers(-(2**53), 2**53), max_size=3),
    )
)
def test_a_body_arrives_as_it_was_given(echo: Echo, said: Said) -> None:
    """A structure comes back equal, alone and in a list."""
    assert echo.body(said) == said
    assert echo.bodies([said, Said(text="last")]) == [Said(text="last"), said]


def test_nothing_and_something_are_told_apart(echo: Echo) -> None:
    """An operation that may answer None answers None, or the thing."""
    assert echo.maybe() is None
    assert echo.maybe(there=True) == Said(text="there")


def error_classes() -> list[type[NoriaError]]:
    """List every class of error in the package that has a code of its own."""
    for module in pkgutil.walk_packages(noria.__path__, "noria."):
        if not {"migrations", "__main__"} & set(module.name.split(".")):
            importlib.import_module(module.name)
    found, waiting = list[type[NoriaError]](), [NoriaError]
    while waiting:
        cls = waiting.pop()
        found += [cls] if "code" in vars(cls) and cls.__module__.startswith("noria.") else []
        waiting += cls.__subclasses__()
    return sorted(set(found), key=lambda cls: cls.code)


def test_every_error_of_the_package_is_the_same_on_both_sides(echo: Echo) -> None:
    """Each class of error arrives as itself, with message, hint and details."""
    classes = error_classes()
    for cls in classes:
        sent = Raised(
            code=cls.code, message="Är det `så`", hint="Do x", details={"n": 1, "list": ["a", None]}
        )
        with pytest.raises(NoriaError) as caught:
            echo.fail(sent)
        arrived = caught.value
        assert type(arrived) is cls
        assert (arrived.message, arrived.hint, arrived.details) == (sent.message, sent.hint, sent.details)
    assert len(classes) > 25


def test_no_two_errors_share_a_code() -> None:
    """A code stands for one class, or the client would raise another one than the server."""
    classes = error_classes()
    codes = [cls.code for cls in classes]

    assert sorted(codes) == sorted(set(codes))
    assert all(type(error_from_body(ErrorBody(code=cls.code, message=""))) is cls for cls in classes)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("invalid", 400),
        ("unauthenticated", 401),
        ("forbidden", 403),
        ("not_found", 404),
        ("object_not_in_project", 404),
        ("conflict", 409),
        ("locked", 409),
        ("too_large", 413),
        ("failed", 422),
        ("too_many_requests", 429),
        ("corrupt", 500),
        ("unavailable", 503),
        ("storage_full", 507),
        ("a code of tomorrow", 500),
    ],
)
def test_an_error_has_the_status_of_its_branch(owner: httpx.Client, code: str, status: int) -> None:
    """Programs that know only HTTP can tell the branches apart, and all have one form."""
    answer = owner.post("/api/v1/echo/raise", json={"code": code, "message": "m"})

    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message", "hint", "details"}


def test_a_bug_shows_nothing_of_the_inside(echo: Echo, owner: httpx.Client) -> None:
    """An unforeseen exception is one error with a number to look for in the log, and no trace of its text."""
    with pytest.raises(ServerFault) as caught:
        echo.crash()
    answer = owner.post("/api/v1/echo/crash")

    assert answer.status_code == 500
    assert "internals" not in answer.text
    assert caught.value.details["incident"] in (caught.value.hint or "")


def test_a_download_comes_with_what_is_known_of_it(echo: Echo) -> None:
    """Size, name and own headers travel with the bytes."""
    known, unknown = echo.download(n_chunks=300), echo.download(n_chunks=3, known=False)
    expected = b"".join(bytes([index % 256]) * 1000 for index in range(300))

    assert (known.size_bytes, known.filename, known.headers) == (300_000, "ü b.bin", {"noria-note": "x"})
    assert known.read() == expected
    assert unknown.size_bytes is None
    assert len(unknown.read()) == 3000
    assert echo.download(n_chunks=0).read() == b""


def test_a_download_that_fails_at_its_start_raises_the_error(echo: Echo) -> None:
    """Nothing was sent yet, so the error has its usual form."""
    with pytest.raises(TooLarge, match="in front of chunk 0"):
        echo.download(n_chunks=3, fails_at=0)


@pytest.mark.parametrize("known", [True, False])
def test_a_download_that_breaks_off_is_not_taken_for_whole(echo: Echo, known: bool) -> None:
    """An error on the way cuts the connection, and the client raises instead of ending early."""
    download = echo.download(n_chunks=2000, fails_at=1500, known=known)
    with pytest.raises(Unavailable, match="broke"):
        download.read()


def test_a_client_that_turns_away_does_no_harm(echo: Echo) -> None:
    """A download that nobody reads to its end leaves the server and the client usable."""
    for _ in range(8):
        download = echo.download(n_chunks=20_000)
        next(download.chunks)
        del download

    assert echo.download(n_chunks=2).read() == b"\0" * 1000 + b"\1" * 1000


def pieces(n: int, size: int) -> Iterator[bytes]:
    """Make a stream of unknown length."""
    for _ in range(n):
        yield b"x" * size


@pytest.mark.parametrize(("n", "size"), [(0, 0), (1, 1), (999, 1000), (3, 300_000)])
def test_an_upload_arrives_whole(echo: Echo, n: int, size: int) -> None:
    """Every byte of a stream arrives, in chunks of at least 256 KiB but for the last, however small it was cut."""
    arrived = echo.upload(pieces(n, size))

    assert arrived.n_bytes == n * size
    assert arrived.n_chunks <= n * size // (256 * 1024) + 1


def test_an_upload_that_is_too_large_is_refused_while_it_comes(echo: Echo) -> None:
    """The limit holds for a stream of unknown length, and names itself."""
    with pytest.raises(TooLarge, match="1000000 bytes"):
        echo.upload(pieces(30, 100_000))


def test_a_service_may_stop_reading_an_upload(echo: Echo) -> None:
    """What the service raises in the middle of a stream arrives, and the connection can be used again."""
    with pytest.raises(TooLarge, match="More than 10"):
        echo.upload(pieces(90, 10_000), most=10)

    assert echo.maybe() is None


class Interrupted(Exception):
    """What a stream of the caller's own raises."""


def test_what_the_callers_stream_raises_passes_through(echo: Echo) -> None:
    """A file that cannot be read to its end raises its own error, and the server drops the part it got."""

    def broken() -> Iterator[bytes]:
        yield b"x" * 1000
        raise Interrupted

    with pytest.raises(Interrupted):
        echo.upload(broken())
    assert echo.upload([b"abc"]).n_bytes == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"text": "", "number": 1}, "`text` is empty"),
        ({"text": "x", "number": 1, "words": []}, "`words` cannot be sent"),
        ({"text": "a\nb", "number": 1}, "control character"),
        ({"text": "x", "number": 1, "word": "a\0b"}, "control character"),
        ({"text": "x", "number": 1, "ratio": float("nan")}, "finite"),
        ({"text": "x", "number": 1, "ratio": float("inf")}, "finite"),
        ({"text": "x", "number": "ten"}, "`Number`|`number`"),
        ({"text": "x", "number": 1, "at": datetime(2030, 1, 1)}, "time zone"),  # noqa: DTZ001 - that is the point
    ],
)
def test_what_has_no_form_in_an_address_is_refused(
    echo: Echo, arguments: dict[str, object], message: str
) -> None:
    """Values that an address cannot carry are refused with their name, on one side or the other."""
    with pytest.raises(Invalid, match=message):
        echo.plain(**arguments)  # type: ignore[arg-type]


def test_a_naive_body_number_becomes_an_error_not_a_guess(echo: Echo) -> None:
    """JSON has no word for NaN; it is refused and never read as something else."""
    with pytest.raises(Invalid, match="figure"):
        echo.body(Said(text="x", figure=float("nan")))


def test_calling_wrongly_fails_as_it_does_in_process(echo: Echo) -> None:
    """Missing and unknown arguments are the same `TypeError` as in process; the backends are out of reach."""
    with pytest.raises(TypeError, match="missing a required argument"):
        echo.plain("x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword"):
        echo.maybe(their=True)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="operations only"):
        _ = echo.context


def test_a_sibling_of_a_remote_service_is_remote(echo: Echo) -> None:
    """Another service of the same caller goes over the same connections."""
    assert echo.sibling(Echo).maybe(there=True) == Said(text="there")
    assert isinstance(echo, Echo)


def test_the_time_of_an_answer_keeps_its_instant(echo: Echo) -> None:
    """Microseconds survive the way there and back."""
    at = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    assert echo.plain("x", 1, at=at).at == at

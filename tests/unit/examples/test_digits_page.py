"""What is drawn becomes an image like the scans, MNIST is read as it is written, and the page takes only its own."""

from __future__ import annotations

import gzip
import http.client
import json
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import noria
from noria.examples.digits.page.asking import Drawing, Seen, Share, Told
from noria.examples.digits.page.scans import read_mnist, small_scans
from noria.examples.digits.page.site import MAX_BODY_BYTES, Site, serving
from noria.examples.digits.page.strokes import LARGE, SMALL, draw
from noria.examples.digits.page.words import WORDS

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, wide: float, high: float, first: float, last: float) -> Stroke:
    """Give points of an ellipse between two angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(first, last, 30))
    return [(x + wide * math.cos(angle), y + high * math.sin(angle)) for angle in angles]


DIGITS: dict[int, list[Stroke]] = {
    0: [arc(0.5, 0.5, 0.25, 0.4, -90, 270)],
    1: [[(0.4, 0.25), (0.55, 0.1), (0.55, 0.9)]],
    2: [[*arc(0.5, 0.3, 0.22, 0.2, -170, 40), (0.28, 0.88), (0.75, 0.88)]],
    3: [[*arc(0.45, 0.3, 0.2, 0.2, -150, 90), *arc(0.45, 0.7, 0.23, 0.2, -90, 150)]],
    4: [[(0.55, 0.1), (0.25, 0.6), (0.78, 0.6)], [(0.6, 0.35), (0.6, 0.92)]],
    5: [[(0.72, 0.12), (0.35, 0.12), (0.32, 0.45), *arc(0.47, 0.65, 0.24, 0.23, -130, 140)]],
    6: [[(0.62, 0.1), *arc(0.5, 0.66, 0.22, 0.24, 200, 560)]],
    7: [[(0.25, 0.12), (0.75, 0.12), (0.45, 0.9)]],
    8: [arc(0.5, 0.3, 0.18, 0.19, 90, -270), arc(0.5, 0.7, 0.22, 0.21, -90, 270)],
    9: [[*arc(0.5, 0.33, 0.2, 0.21, 0, -360), (0.7, 0.33), (0.62, 0.9)]],
}


def test_what_is_drawn_looks_like_a_scan() -> None:
    """A model of the scans names drawn digits, wherever and how large they are drawn; a dot is drawn too."""
    scans = small_scans(0)
    model = LogisticRegression(max_iter=1000).fit(scans.x, scans.y)
    drawn = np.array([draw(strokes, SMALL) for strokes in DIGITS.values()])

    assert (model.predict(drawn) == np.arange(10)).sum() >= 8
    assert drawn.mean(1) == pytest.approx(np.full(10, scans.x.mean()), abs=0.01)
    moved = [[(0.2 + x / 4, 0.3 + y / 4) for x, y in stroke] for stroke in DIGITS[3]]
    for side in (SMALL, LARGE):
        assert draw(moved, side) == pytest.approx(draw(DIGITS[3], side), abs=1e-6)
        assert draw([[(0.5, 0.5)]], side).max() > 0.9


def test_a_large_image_is_made_as_those_of_mnist_are() -> None:
    """The centre of mass is in the middle of 28 by 28, and nothing lies outside of 20 by 20 about the drawing."""
    for strokes in DIGITS.values():
        image = draw(strokes, LARGE).reshape(LARGE, LARGE)
        places = np.arange(LARGE) + 0.5
        centre = ((image.sum(0) * places).sum() / image.sum(), (image.sum(1) * places).sum() / image.sum())
        assert centre == pytest.approx((14, 14), abs=0.1)
        assert all(np.ptp(np.flatnonzero(image.max(axis) > 0.3)) < 21 for axis in (0, 1))


def mnist_file(values: Any, *sizes: int) -> bytes:
    return struct.pack(f">4B{len(sizes)}I", 0, 0, 8, len(sizes), *sizes) + bytes(values)


def test_mnist_is_read_from_its_four_files(tmp_path: Path) -> None:
    """Images from 0 to 1, the test images held back; what is missing, cut or of another kind is refused by name."""
    for part, n in (("train", 3), ("t10k", 2)):
        images = mnist_file([255] * n * 784, n, 28, 28)
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(mnist_file(range(n), n))
    scans = read_mnist(tmp_path)
    assert scans.x.shape == (5, 784)
    assert scans.x.min() == 1.0
    assert scans.y.tolist() == [0, 1, 2, 0, 1]
    assert scans.held.tolist() == [False, False, False, True, True]

    labels = tmp_path / "t10k-labels-idx1-ubyte"
    for content in (b"", mnist_file([1], 2), mnist_file([1] * 9, 9), mnist_file([1] * 784, 1, 28, 28)):
        labels.write_bytes(content)
        with pytest.raises(noria.Invalid):
            read_mnist(tmp_path)
    labels.unlink()
    with pytest.raises(noria.Invalid, match="t10k-labels"):
        read_mnist(tmp_path)


class Stub:
    """Answers 3, whatever is drawn."""

    model = "digits"

    def __init__(self) -> None:
        self.told: list[Told] = []

    def predict(self, drawing: Drawing) -> Seen:
        if not drawing.strokes:
            raise noria.Invalid("nothing is drawn")
        return Seen(
            digit=3,
            confidence=None,
            probabilities={},
            prediction_id="p",
            version=1,
            about="",
            side=8,
            pixels=[],
        )

    def tell(self, told: Told) -> None:
        self.told.append(told)

    def shares(self) -> list[Share]:
        raise noria.Unavailable("the server is gone")


@pytest.fixture
def site() -> Iterator[Site]:
    """Give the page with a stand-in for the model."""
    with serving(Site(Stub(), noria_url="http://noria.test", port=0)) as running:
        yield running


def ask(site: Site, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", site.server_port, timeout=20)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"content-type": "application/json", **given})
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    is_json = answer.headers["content-type"] == "application/json"
    return answer.status, json.loads(raw) if is_json else raw.decode()


def test_the_page_takes_only_what_comes_from_itself(site: Site) -> None:
    """Another host name, another site, another type, a huge or odd body: each is refused, and nothing is kept."""
    drawing = b'{"strokes": [[[0.1, 0.2]]]}'
    assert ask(site, "POST", "/predict", drawing)[1]["digit"] == 3
    assert ask(site, "POST", "/predict", drawing, origin=site.url)[0] == 200
    refused = [
        ask(site, "GET", "/", host="evil.test"),
        ask(site, "POST", "/predict", drawing, origin="http://evil.test"),
        ask(site, "POST", "/predict", drawing, sec_fetch_site="cross-site"),
        ask(site, "POST", "/predict", drawing, content_type="text/plain"),
        ask(site, "POST", "/predict", b" " * (MAX_BODY_BYTES + 1)),
        ask(site, "GET", "/../asking.py"),
        ask(site, "POST", "/predict", b'{"strokes": []}'),
        ask(site, "POST", "/predict", b'{"strokes": [[[NaN, 1]]]}'),
        ask(site, "POST", "/predict", b"[" * 100_000),
        ask(site, "POST", "/feedback", b'{"prediction_id": "p", "digit": "x"}'),
        ask(site, "GET", "/shares"),
    ]
    assert [status for status, _ in refused] == [403, 403, 403, 415, 413, 404, 400, 400, 400, 400, 503]
    asked = site.asked
    assert isinstance(asked, Stub)
    assert asked.told == []
    assert ask(site, "POST", "/feedback", b'{"prediction_id": "p", "digit": 3}') == (200, {"kept": True})


def test_every_word_is_in_every_language(site: Site) -> None:
    """The same words are in both, the page is in the language of the browser, and no word is left out."""
    assert WORDS["en"].keys() == WORDS["es"].keys()
    status, page = ask(site, "GET", "/?theme=dark", accept_language="es-MX,es;q=0.9")
    assert status == 200
    assert all(word in page for word in ("Dibuje una cifra", 'lang="es"', 'data-theme="dark"'))

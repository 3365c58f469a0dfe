"""What handlers of foreign protocols see of a request."""

from __future__ import annotations

import pytest

from noria.core.adapters import AskedHeaders

GIVEN = [(b"host", b"a"), (b"x-name", b"first"), (b"accept", b"*/*"), (b"x-name", b"\xe9")]


def test_headers_are_those_of_a_dictionary() -> None:
    """Found by name in lower case, each the last of its name, in the order of their first."""
    headers = AskedHeaders(GIVEN)

    assert dict(headers) == {key.decode(): value.decode("latin-1") for key, value in GIVEN}
    assert [*headers] == ["host", "x-name", "accept"]
    assert len(headers) == 3
    assert headers["x-name"] == "é"


@pytest.mark.parametrize("name", ["absent", "", "Host", "ā"])
def test_there_is_no_header_of_another_name(name: str) -> None:
    """Whatever is asked for."""
    headers = AskedHeaders(GIVEN)

    assert headers.get(name) is None
    assert name not in headers
    with pytest.raises(KeyError):
        headers[name]

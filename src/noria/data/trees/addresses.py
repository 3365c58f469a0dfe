"""Addresses as they may be shown and kept: without passwords, tokens and signatures."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit


def without_secrets(url: str) -> str:
    """Give an address without user, password, query and fragment, which is where secrets stand.

    Examples
    --------
    >>> without_secrets("https://ana:pass@example.com/a.zip?X-Amz-Signature=1")
    'https://example.com/a.zip'
    >>> without_secrets("data/raw.zip")
    'data/raw.zip'
    """
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def has_secrets(url: str) -> bool:
    """Tell whether an address holds a user, a password, a query or a fragment."""
    return "://" in url and without_secrets(url) != url

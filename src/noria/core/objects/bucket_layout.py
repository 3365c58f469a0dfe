"""Which keys a bucket's objects have; `bucket_store` draws them."""

from __future__ import annotations

from noria.core.objects.digests import ALGORITHM, Digest, is_digest, parse_digest

MAIN = "objects"
SPARES = "spares"
DOOMED = "doomed"
STAGING = "staging"


def main_key(digest: str) -> str:
    """Give the key of an object; no digest that passes the check leads out of its folder."""
    name = _name(digest)
    return f"{MAIN}/{name[:2]}/{name[2:]}"


def spare_folder(digest: str) -> str:
    """Give the folder of an object's spares."""
    return f"{SPARES}/{_name(digest)}"


def doom_folder(digest: str) -> str:
    """Give the folder of the marks that say that an object is about to be removed."""
    return f"{DOOMED}/{_name(digest)}"


def digest_of(key: str) -> Digest | None:
    """Give the digest of the object whose main key or spare this is.

    Examples
    --------
    >>> digest_of("objects/ab/" + "0" * 62) == digest_of("spares/ab" + "0" * 62 + "/x") == "blake3:ab" + "0" * 62
    True
    >>> digest_of("objects/readme") is None
    True
    """
    match key.split("/"):
        case ["objects", head, rest] if len(head) == 2:
            name = head + rest
        case ["spares", name, _]:
            pass
        case _:
            return None
    digest = f"{ALGORITHM}:{name}"
    return digest if is_digest(digest) else None


def _name(digest: str) -> str:
    return parse_digest(digest).removeprefix(f"{ALGORITHM}:")

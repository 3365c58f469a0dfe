"""Names for runs that were given none, in the form that MLflow's users know: `gentle-otter-318`."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_ADJECTIVES: Final = (
    "able", "agile", "airy", "amber", "brave", "bright", "brisk", "calm", "candid", "careful", "cheerful", "clear",
    "clever", "cosy", "crisp", "curious", "deft", "eager", "early", "easy", "fair", "fancy", "fine", "fleet", "fond",
    "frank", "free", "fresh", "gentle", "glad", "golden", "good", "grand", "handy", "happy", "hardy", "honest",
    "jolly", "keen", "kind", "lively", "loyal", "lucky", "mellow", "merry", "mild", "neat", "nimble", "noble", "open",
    "patient", "plain", "polite", "proud", "quick", "quiet", "rapid", "ready", "rosy", "sharp", "silent", "silver",
    "sleek", "smooth", "snug", "solid", "spry", "steady", "still", "sunny", "swift", "tidy", "vivid", "warm", "wise",
)  # fmt: skip
_NOUNS: Final = (
    "ant", "badger", "bat", "bear", "beaver", "bee", "bison", "boar", "calf", "camel", "carp", "cat", "colt", "crab",
    "crane", "cricket", "crow", "deer", "dolphin", "dove", "duck", "eagle", "eel", "elk", "falcon", "ferret", "finch",
    "fox", "frog", "gnu", "goat", "goose", "grouse", "gull", "hare", "hawk", "hen", "heron", "horse", "ibis", "jay",
    "koala", "lark", "lynx", "mole", "moose", "moth", "mule", "newt", "otter", "owl", "ox", "panda", "perch", "pig",
    "pony", "quail", "rabbit", "ram", "raven", "robin", "seal", "shark", "sheep", "shrew", "sloth", "snail", "sparrow",
    "squid", "stag", "stork", "swan", "tern", "toad", "trout", "turtle", "vole", "walrus", "whale", "wolf", "wren",
)  # fmt: skip


def name_of(run_id: str) -> str:
    """Make a name of a run's id: the same id has the same name.

    Examples
    --------
    >>> name_of("0f" * 16)
    'neat-lynx-181'
    """
    number = int.from_bytes(blake2b(run_id.encode(), digest_size=8).digest())
    number, adjective = divmod(number, len(_ADJECTIVES))
    number, noun = divmod(number, len(_NOUNS))
    return f"{_ADJECTIVES[adjective]}-{_NOUNS[noun]}-{number % 1000}"

"""Names for runs that were given none, in the form that MLflow's users know: `gentle-otter-318`."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

_ADJECTIVES: Final = (
    "able", "adaptable", "agreeable", "ambitious", "bold", "bouncy", "bright", "calm", "capable", "carefree", "caring",
    "charming", "classy", "clean", "colorful", "dapper", "dashing", "dazzling", "delicate", "efficient", "fearless",
    "fortunate", "gentle", "gifted", "honorable", "industrious", "inquisitive", "judicious", "kindly", "learned",
    "likeable", "luminous", "lyrical", "marvelous", "melodic", "merciful", "nimble", "orderly", "peaceful",
    "persistent", "placid", "polite", "popular", "powerful", "rare", "receptive", "resilient", "respected", "silent",
    "sincere", "skillful", "smiling", "stately", "thoughtful", "treasured", "trusting", "unique", "upbeat", "useful",
    "valuable", "welcoming", "whimsical", "wise", "youthful",
)  # fmt: skip
"""Words that MLflow's server begins names with too: its clients and tests tell made-up names by them."""

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
    'resilient-ibis-931'
    """
    number = int.from_bytes(blake2b(run_id.encode(), digest_size=8).digest())
    number, adjective = divmod(number, len(_ADJECTIVES))
    number, noun = divmod(number, len(_NOUNS))
    return f"{_ADJECTIVES[adjective]}-{_NOUNS[noun]}-{number % 1000}"

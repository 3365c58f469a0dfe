"""Call MLflow's client, and tell in JSON what came of each call, without what two servers make up differently."""

import json
import re
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

URI = sys.argv[1]
mlflow.set_tracking_uri(URI)
client = MlflowClient(URI)

MADE_UP = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}"), "<id>"),
    (re.compile(r"\b[a-z]+-[a-z]+-[0-9]{1,3}\b"), "<name>"),
    (re.compile(r"1[0-9]{12}"), "<now>"),
]
A_YEAR_AGO_MS = 1_500_000_000_000
_outcomes = []


def tell(name, call, /, *arguments, **named):
    """Call something, note what came of it under a name, and give it; None if it raised."""
    try:
        result = call(*arguments, **named)
        outcome = plain(result)
    except MlflowException as error:
        result, outcome = None, ["raised", error.error_code, plain(str(error.message))]
    except Exception as error:  # noqa: BLE001 - whatever came of it
        result, outcome = None, ["raised", type(error).__name__, plain(str(error))]
    _outcomes.append([name, outcome])
    return result


def tell_each(name, call, choices):
    """Call something with each of many choices, which are named by themselves."""
    for choice in choices:
        tell(f"{name} {str(choice)[:90]}", call, choice)


def plain(value):
    """Give a value as JSON has it; ids, moments and names that servers make up become words."""
    if isinstance(value, str):
        return _without_made_up(value)
    if isinstance(value, int) and value > A_YEAR_AGO_MS:
        return "<now>"
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, dict):
        return {plain(str(key)): plain(each) for key, each in sorted(value.items(), key=str)}
    if isinstance(value, (set, frozenset, list, tuple)):
        found = [plain(each) for each in value]
        return found if isinstance(value, (list, tuple)) else sorted(found, key=str)
    return _plain_entity(value)


def _plain_entity(value):
    try:
        return {"is": type(value).__name__, **{key: plain(each) for key, each in value}}
    except TypeError:  # it has no fields to go through
        return _without_made_up(re.sub(r" at 0x[0-9a-f]+", "", repr(value)))


def _without_made_up(text):
    text = text.replace(URI, "<uri>")
    for made_up, word in MADE_UP:
        text = made_up.sub(word, text)
    return text


def end():
    """Print all outcomes, one a line."""
    for outcome in _outcomes:
        print("OUTCOME", json.dumps(outcome, sort_keys=True))

"""What a program that drives MLflow's client was told, in a form in which two servers can be compared."""

import json
import math
import re
import sys
import uuid

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _get_store

_LOCATION = re.compile(r"mlflow-artifacts:/\d+", re.IGNORECASE)
_MOMENT = re.compile(r"\b1[789]\d{11}\b")


class Notes:
    """Outcomes under labels.

    Ids, locations and moments are written alike whichever server gave them, and names are kept apart from those of
    other programs on the same server by `name`. Numbers of experiments are not: they are no outcome.
    """

    def __init__(self, uri):
        mlflow.set_tracking_uri(uri)
        self.uri = uri
        self.store = _get_store()
        # Begins with what no name of a test and no filter begins with.
        self._salt = f"zz{uuid.uuid4().hex[:12]}"
        self._known = {self._salt: "", uri: "<uri>"}
        self._said = {}

    def name(self, text):
        """Give a name that nobody else uses."""
        return f"{self._salt}{text}"

    def know(self, identity, text):
        """Call an id by a name from now on, and give it back."""
        self._known[str(identity)] = f"<{text}>"
        return identity

    def say(self, label, value):
        """Note an outcome."""
        label = self._text(str(label))
        while label in self._said:
            label += "'"
        self._said[label] = self._plain(value)

    def ask(self, label, call, *arguments, tells=None, **named):
        """Note what a call answers, or the code of the error that it raises; give the answer or None.

        `tells` is what the message of the error must say; another message is noted as a whole.
        """
        try:
            answer = call(*arguments, **named)
        except MlflowException as error:
            kept = "" if tells is None else tells if re.search(tells, str(error)) else str(error)
            self.say(label, f"{error.error_code} {kept}".strip())
            return None
        self.say(label, answer)
        return answer

    def tell(self):
        """Print all outcomes as one line of JSON."""
        json.dump(self._said, sys.stdout)

    def _plain(self, value):
        match value:
            case float() if not math.isfinite(value):
                return str(value)
            case None | bool() | int() | float():
                return value
            case str():
                return self._text(value)
            case set() | frozenset():
                return sorted(map(self._plain, value), key=str)
            case list() | tuple():
                return list(map(self._plain, value))
        value = dict(value)
        return {self._text(str(key)): self._plain(value[key]) for key in sorted(value, key=str)}

    def _text(self, text):
        text = _MOMENT.sub("<moment>", _LOCATION.sub("mlflow-artifacts:/<number>", text))
        for identity, name in sorted(self._known.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(identity, name).replace(identity.upper(), name.upper())
        return text

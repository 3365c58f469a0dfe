"""BentoML's services, with and without batching. MODEL is a file."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1)
class Plain:
    """One call of the model for each request."""

    def __init__(self):
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Answer with classes."""
        return self.model.predict(rows)


@bentoml.service(workers=1)
class Batch:
    """Requests that come together share a call."""

    def __init__(self):
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=1024, max_latency_ms=1000)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        """Answer with classes."""
        return self.model.predict(rows)

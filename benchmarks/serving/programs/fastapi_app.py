"""A model server as one writes it by hand with FastAPI: MODEL is a file, MODE `onnx` or `sklearn`."""

import os

import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Request(BaseModel):
    """Rows to predict."""

    rows: list[list[float]]


if os.environ["MODE"] == "onnx":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
    given, answered = session.get_inputs()[0].name, [session.get_outputs()[0].name]

    @app.post("/predict")
    async def predict(request: Request):
        """Answer with classes."""
        rows = np.asarray(request.rows, dtype=np.float32)
        return {"predictions": session.run(answered, {given: rows})[0].tolist()}

else:
    import joblib

    model = joblib.load(os.environ["MODEL"])

    @app.post("/predict")
    def predict(request: Request):
        """Answer with classes."""
        return {"predictions": model.predict(np.asarray(request.rows)).tolist()}

"""Ask a model server by the client of MLflow's scoring server: `mlflow_scoring.py PORT ROWS`, the rows as JSON."""

import json
import sys

import pandas as pd
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

client = ScoringServerClient("127.0.0.1", int(sys.argv[1]))
client.wait_server_ready(timeout=60)
frame = pd.DataFrame(json.loads(sys.argv[2]), columns=["a", "b", "c", "d"])
predictions = client.invoke(frame).get_predictions()
print("ANSWER", json.dumps({"version": client.get_version(), "predictions": predictions.iloc[:, 0].tolist()}))

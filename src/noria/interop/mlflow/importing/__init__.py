"""Bring what an MLflow store holds into a workspace: `noria import mlflow`."""

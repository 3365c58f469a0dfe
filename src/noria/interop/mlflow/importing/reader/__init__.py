"""Reads an MLflow store by MLflow's own client, and tells what it finds line by line.

A program of its own: `python FOLDER URI` with this folder needs MLflow and nothing of Noria, so it runs in whatever
environment has the MLflow that wrote the store; that is why its modules import each other by relative names. Each line
on stdout is a JSON object with a `kind`. After a line of the kind `run`, `logged-model`, `trace`, `evaluation-dataset`
or `file` it waits for a line on stdin: anything for a file, which it removes then, `take` or `skip` for the others.
"""

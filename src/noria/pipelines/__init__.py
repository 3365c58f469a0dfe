"""Pipelines: plain Python functions that are recorded, and not run again while nothing they depend on changed."""

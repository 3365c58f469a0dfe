"""Experiments and runs: params, metrics with steps, tags, artifacts, lineage."""

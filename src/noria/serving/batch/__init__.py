"""Batch prediction: rows of a table through a version, one output row for each, and blue-green for it."""

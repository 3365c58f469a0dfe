"""Datasets: immutable versions of file trees, arrays and tables."""

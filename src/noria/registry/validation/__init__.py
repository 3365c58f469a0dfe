"""Validation before release: what a version does with rows that life will bring, and the gates before aliases."""

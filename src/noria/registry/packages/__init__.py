"""Packages: a model version with all that loading and judging it needs, as an OCI image layout that is signed."""

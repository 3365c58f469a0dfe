"""Manifests for Kubernetes: plain ones, rendered from options alone, the same bytes for the same options."""

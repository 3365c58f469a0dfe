"""Kubeflow Pipelines: pipelines as files of its intermediate representation, version 2."""

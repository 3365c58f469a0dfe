"""Bring what DVC keeps into a workspace: `noria import dvc`."""

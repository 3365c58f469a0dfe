"""Registered models: immutable versions, aliases, signatures, and what their quality is compared with."""

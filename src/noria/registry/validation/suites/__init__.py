"""Families of checks, one module each; `noria.registry.validation.plan` lists them."""

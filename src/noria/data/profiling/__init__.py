"""Profiles of versions: what each column holds, made once where the data is read."""

"""Folders that images are built from: the base with Noria in it, and on it one image for each model."""

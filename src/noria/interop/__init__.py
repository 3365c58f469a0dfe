"""Noria in the words of other programs: adapters of foreign protocols, and importers."""

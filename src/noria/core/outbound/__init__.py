"""Calls to other machines that people name: every address is checked at the moment of connecting."""

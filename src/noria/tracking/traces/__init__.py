"""Traces: what a program did in one request, span by span, and what people and judges say of it."""

"""What callers may do with webhooks."""

from __future__ import annotations

from noria.core.permissions import Permission

MANAGE_WEBHOOKS = Permission(name="webhooks.manage", roleless=True)
"""Everybody manages their own, which tell of nothing that they may not read; admins manage all.

The workspace key is not asked for, although an address is named: it is called from where `[outbound]` lets calls go,
which is never this machine unless its owner says so.
"""

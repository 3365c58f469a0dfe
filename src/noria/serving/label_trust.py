"""How far labels are trusted, by who gave them."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from noria.core.config import Section

KEY_CLIENT = "key:"
ADDRESS_CLIENT = "address:"


class LabelTrust(enum.StrEnum):
    """Whether a label counts.

    One that is not trusted is kept and shown, but moves no figure that something is done by: no gate, no monitor, no
    decision.
    """

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


class LabelSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[labels]`: how far labels are trusted.

    Attributes
    ----------
    untrusted
        Sources whose labels are not trusted: a public feedback button.
    untrusted_keys
        Names of endpoint keys; what comes with one of them is not trusted, whatever source it names.
    unguarded
        How far labels are trusted that come to a model server without a key.
    cap_per_client
        Most untrusted labels that one client (a key, or an address) may give within `cap_period_s`.
    """

    untrusted: tuple[str, ...] = ()
    untrusted_keys: tuple[str, ...] = ()
    unguarded: LabelTrust = LabelTrust.TRUSTED
    cap_per_client: Annotated[int, msgspec.Meta(ge=0)] = 100
    cap_period_s: Annotated[float, msgspec.Meta(gt=0)] = 86_400.0

    def trust(
        self, *, source: str | None, client: str | None, untrusted_key_ids: frozenset[str]
    ) -> LabelTrust:
        """Tell how far a label is trusted.

        Parameters
        ----------
        client
            `key:<id>` or `address:<address>` as a model server stamps it; None when somebody gave it who signed in.
        untrusted_key_ids
            Ids of the keys that `untrusted_keys` names.
        """
        is_key = client is not None and client.removeprefix(KEY_CLIENT) in untrusted_key_ids
        is_open = client is not None and client.startswith(ADDRESS_CLIENT)
        if source in self.untrusted or is_key or (is_open and self.unguarded is LabelTrust.UNTRUSTED):
            return LabelTrust.UNTRUSTED
        return LabelTrust.TRUSTED

"""What is wrong with a package."""

from __future__ import annotations

from noria.core.errors import Corrupt, Forbidden, Invalid, NotFound


class PackageInvalid(Invalid):
    """It is no package, or one whose parts do not fit together."""

    code = "package_invalid"


class PackageAltered(Corrupt):
    """Bytes of the package are not those that its digest names."""

    code = "package_altered"


class PackageNotFound(NotFound):
    """There is no such package."""

    code = "package_not_found"


class PackageUnsigned(Forbidden):
    """Nobody has signed the package."""

    code = "package_unsigned"


class PackageKeyForeign(Forbidden):
    """It was signed by a key that this workspace does not trust."""

    code = "package_key_foreign"


class PackageSignatureWrong(Forbidden):
    """The signature does not fit the package."""

    code = "package_signature_wrong"


class LockIncomplete(Forbidden):
    """The lock does not name every distribution, and the settings ask that it does."""

    code = "lock_incomplete"

"""The Containerfiles: what an image is built by, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from noria._version import __version__
from noria.core.serialisation import to_json
from noria.delivery.images.places import (
    CONFIG_FOLDER,
    HOME,
    MODEL_FOLDER,
    MODEL_PORT,
    NORIA_FOLDER,
    PACKAGE_FOLDER,
    TOKEN_FILE,
    USER,
)

HEAD: Final = "# Written by `noria image`, which writes it anew: change the options, or build on the image.\n"
BASE_IMAGE: Final = f"noria-base:{__version__}"
PYTHON_IMAGE: Final = "python:3.11-slim"
KNOWN_EXTRAS: Final = ("dask", "fast", "onnx", "packages", "postgres", "ray", "s3", "tables")
EXTRAS: Final = ("fast", "postgres", "s3", "tables")

_PIP_CONFIG: Final = "/run/secrets/pip"
_PIP: Final = "--no-cache-dir --no-input --disable-pip-version-check --find-links /build/wheels"
_SYNTAX: Final = (
    "# Where pip finds distributions is told while it is built, and stays in no layer:\n"
    "#   --secret id=pip,src=pip.conf     its configuration, with an index and what that asks for\n"
    "#   --build-arg PIP_NO_INDEX=1       only the wheels in the folder `wheels`\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelImage:
    """What the image of a model is built from.

    Attributes
    ----------
    digest
        Of the package.
    base
        Image that it stands on, as `noria image base` describes it.
    """

    endpoint: str
    ref: str
    digest: str
    base: str

    def command(self) -> list[str]:
        """Give the arguments of `noria` with which a container starts."""
        return [
            *("serve", PACKAGE_FOLDER, "--endpoint", self.endpoint),
            *("--host", "0.0.0.0", "--port", str(MODEL_PORT)),  # noqa: S104 - it asks for a token
            *("--token-file", TOKEN_FILE),
        ]


def base_requirements(extras: Sequence[str]) -> str:
    """Give what the base is installed from: Noria in this very version."""
    return f"noria[{','.join(extras)}]=={__version__}\n" if extras else f"noria=={__version__}\n"


def base_containerfile(python: str) -> str:
    """Give the Containerfile of the base: Python, Noria, and a user who is not root.

    Parameters
    ----------
    python
        Image with Python and its module `venv`.
    """
    return f"""{HEAD}# Base of Noria {__version__}, on which the images of models stand.
{_SYNTAX}ARG PYTHON={python}

FROM ${{PYTHON}} AS build
ARG PIP_NO_INDEX
COPY wheels/ /build/wheels/
COPY requirements.txt /build/
RUN --mount=type=secret,id=pip \\
    python3 -m venv {NORIA_FOLDER} \\
    && PIP_CONFIG_FILE={_PIP_CONFIG} {NORIA_FOLDER}/bin/python -m pip install {_PIP} \\
       -r /build/requirements.txt \\
    && mkdir -p /build/home /build/config

FROM ${{PYTHON}}
COPY --from=build {NORIA_FOLDER} {NORIA_FOLDER}
COPY --from=build --chown={USER}:{USER} /build/home {HOME}
COPY --from=build /build/config {CONFIG_FOLDER}
ENV PATH={MODEL_FOLDER}/bin:{NORIA_FOLDER}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
    HOME={HOME} \\
    NORIA_WORKSPACE={HOME}/workspace \\
    LANG=C.UTF-8 \\
    PYTHONDONTWRITEBYTECODE=1
WORKDIR {CONFIG_FOLDER}
USER {USER}:{USER}
ENTRYPOINT ["noria"]
CMD ["--help"]
"""


def model_containerfile(image: ModelImage) -> str:
    """Give the Containerfile of a model's image.

    What changes seldom comes first: distributions are installed again when the lock changes, and those that the base
    has in the locked version are taken from there, so that images share them.
    """
    labels = {
        "org.opencontainers.image.title": image.endpoint,
        "org.opencontainers.image.version": image.ref,
        "noria.package": image.digest,
    }
    labelled = " \\\n".join(f"    {name}={_quoted(value)}" for name, value in labels.items())
    return f"""{HEAD}# {image.ref}, which answers as the endpoint {image.endpoint}.
{_SYNTAX}ARG BASE={image.base}

FROM ${{BASE}} AS distributions
ARG PIP_NO_INDEX
USER 0:0
COPY wheels/ /build/wheels/
COPY requirements.txt /build/
RUN --mount=type=secret,id=pip \\
    python3 -m venv --without-pip {MODEL_FOLDER} \\
    && packages() {{ "$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; }} \\
    && packages {NORIA_FOLDER} > "$(packages {MODEL_FOLDER})/noria.pth" \\
    && PIP_CONFIG_FILE={_PIP_CONFIG} {NORIA_FOLDER}/bin/python -m pip --python {MODEL_FOLDER}/bin/python \\
       install {_PIP} \\
       --no-deps --require-hashes -r /build/requirements.txt \\
    && sed '1s|.*|#!{MODEL_FOLDER}/bin/python|' {NORIA_FOLDER}/bin/noria > {MODEL_FOLDER}/bin/noria \\
    && chmod 755 {MODEL_FOLDER}/bin/noria

FROM ${{BASE}} AS verified
USER 0:0
COPY noria.toml {CONFIG_FOLDER}/
COPY package/ {PACKAGE_FOLDER}/
RUN chmod -R u=rwX,go=rX {PACKAGE_FOLDER} {CONFIG_FOLDER} \\
    && NORIA_WORKSPACE=/tmp/verifying noria packages verify {PACKAGE_FOLDER}@{image.digest}

FROM ${{BASE}}
COPY --from=distributions {MODEL_FOLDER} {MODEL_FOLDER}
COPY --from=verified {CONFIG_FOLDER} {CONFIG_FOLDER}
COPY --from=verified {PACKAGE_FOLDER} {PACKAGE_FOLDER}
LABEL {labelled.lstrip()}
EXPOSE {MODEL_PORT}
CMD {to_json(image.command()).decode()}
"""


def _quoted(text: str) -> str:
    """Quote a value of a label; in double quotes a Containerfile would look for variables."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'

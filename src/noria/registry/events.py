"""Types of event that this capability appends.

The subject is `model:<name>`, or `model:<name>@<version>` for what happens to a version. Payloads name keys of tags,
aliases and numbers. What people wrote (values of tags, descriptions, sources) is read from the model itself.
"""

from __future__ import annotations

from noria.core.events.log import EventType

MODEL_CREATED = EventType("model.created", "A model was made; the payload has its id")
MODEL_UPDATED = EventType("model.updated", "A model's description changed")
MODEL_RENAMED = EventType("model.renamed", "A model has another name; the payload has the one before")
MODEL_DELETED = EventType(
    "model.deleted", "A model and its versions are gone; the payload has its id and how many versions it had"
)
MODEL_RESTORED = EventType(
    "model.restored",
    "A deleted model is there again; the payload has its id and how many versions came back with it",
)
MODEL_TAG_SET = EventType(
    "model.tag_set", "A model got a tag, or a tag another value; the payload has its key"
)
MODEL_TAG_DELETED = EventType("model.tag_deleted", "A tag of a model is gone; the payload has its key")
MODEL_VERSION_REGISTERED = EventType(
    "model.version_registered", "A model got a new version; the payload has version, digest, run and metrics"
)
MODEL_VERSION_UPDATED = EventType(
    "model.version_updated", "A version's description changed; the payload has version"
)
MODEL_VERSION_DELETED = EventType(
    "model.version_deleted", "A version is gone; the payload has version and digest"
)
MODEL_VERSION_RESTORED = EventType(
    "model.version_restored", "A deleted version is there again; the payload has version and digest"
)
MODEL_VERSION_STAGE_MOVED = EventType(
    "model.version_stage_moved",
    "A version stands in another stage; the payload has version, stage and the one before",
)
MODEL_VERSION_TAG_SET = EventType(
    "model.version_tag_set", "A version got a tag, or a tag another value; the payload has version and key"
)
MODEL_VERSION_TAG_DELETED = EventType(
    "model.version_tag_deleted", "A tag of a version is gone; the payload has version and key"
)
MODEL_ALIAS_MOVED = EventType(
    "model.alias_moved",
    "An alias points to another version; the payload has alias, version and the one before",
)
MODEL_ALIAS_DELETED = EventType("model.alias_deleted", "An alias is gone; the payload has alias and version")
PICKLE_CONSENT_GIVEN = EventType(
    "model.pickle_consent_given", "The pickles of a version may be loaded; the payload has version and digest"
)
PICKLE_CONSENT_WITHDRAWN = EventType(
    "model.pickle_consent_withdrawn",
    "The pickles of a version may no longer be loaded; the payload has version and digest",
)
PACKAGE_KEPT = EventType(
    "model.package_kept",
    "A package of a version is kept; the payload has version, the package's digest and the key that signed it",
)
MODEL_VALIDATED = EventType(
    "model.validated",
    "A version was tried; the payload has version, report, outcome and whether gates take it",
)
MODEL_APPROVED = EventType(
    "model.approved", "Somebody approved a version for an alias; the payload has version, alias and role"
)
MODEL_APPROVAL_WITHDRAWN = EventType(
    "model.approval_withdrawn", "An approval was taken back; the payload has version and alias"
)

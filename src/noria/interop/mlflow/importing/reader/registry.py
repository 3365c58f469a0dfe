"""Tells registered models with their versions and aliases."""

from __future__ import annotations

from typing import Any

from .lines import Telling


class Registry:
    """Reads the registry."""

    def __init__(self, telling: Telling) -> None:
        self._telling = telling

    def tell(self) -> None:
        """Tell all registered models."""
        for model in self._telling.paged(self._telling.client.search_registered_models):
            self._telling.guarded("registered model", model.name, self._model, model)

    def _model(self, model: Any) -> None:
        full = self._telling.client.get_registered_model(model.name)
        self._telling.tell(
            "model",
            name=full.name,
            description=full.description or None,
            tags=dict(full.tags),
            created_ms=full.creation_timestamp,
        )
        versions = list(
            self._telling.paged(self._telling.client.search_model_versions, f"name = '{_quoted(full.name)}'")
        )
        for version in sorted(versions, key=lambda each: int(each.version)):
            self._telling.tell(
                "version",
                name=full.name,
                number=int(version.version),
                source=version.source,
                run_id=version.run_id or None,
                run_link=version.run_link or None,
                model_id=getattr(version, "model_id", None),
                description=version.description or None,
                tags=dict(version.tags),
                stage=version.current_stage or "None",
                created_ms=version.creation_timestamp,
            )
        self._telling.tell(
            "aliases", name=full.name, aliases={k: int(v) for k, v in (full.aliases or {}).items()}
        )


def _quoted(name: str) -> str:
    return name.replace("'", "''")

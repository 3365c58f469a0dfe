"""What of the newest windows makes an alert about drift. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from noria.monitoring import sentences
from noria.monitoring.entities import AlertKind, ColumnDrift, DriftReport, NewAlert, Window, WindowPart


def drift_alert(windows: Sequence[Window], needed: int) -> NewAlert | None:
    """Raise an alert when the same part drifted in `needed` windows in a row.

    Parameters
    ----------
    windows
        The newest ones, oldest first.

    Notes
    -----
    What another version was compared with says nothing about this one, so all windows have to be of one version. All
    its rows come first; then the segment that moved most.
    """
    series = list(windows)[-needed:]
    newest = series[-1] if series else None
    if newest is None or len(series) < needed or any(w.version != newest.version for w in series):
        return None
    lasting = set.intersection(*(_drifted(window) for window in series))
    parts = [part for part in _parts(newest) if part.segment in lasting]
    if not parts:
        return None
    chosen = min(parts, key=lambda part: (bool(part.segment), -_most(part).psi))
    return _alert(chosen, series, [part.segment for part in parts if part.segment])


def _parts(window: Window) -> list[WindowPart]:
    whole = WindowPart(
        version=window.version, n_rows=window.n_rows, drift=window.drift, predictions=window.predictions
    )
    return [whole, *(part for part in window.parts if part.version == window.version and part.segment)]


def _drifted(window: Window) -> set[str]:
    return {part.segment for part in _parts(window) if part.drifted}


def _columns(part: WindowPart) -> list[ColumnDrift]:
    found = [*(part.drift.columns if part.drift else []), *([part.predictions] if part.predictions else [])]
    return [column for column in found if column.drifted]


def _most(part: WindowPart) -> ColumnDrift:
    return min(_columns(part), key=lambda column: (column.p_value, -column.psi))


def _alert(part: WindowPart, series: Sequence[Window], segments: list[str]) -> NewAlert:
    drift = part.drift or DriftReport(n_columns=0, n_drifted=0, columns=[])
    top = drift.columns[0] if drift.drifted else _most(part)
    return NewAlert(
        kind=AlertKind.DRIFT,
        version=part.version,
        figures={
            "n_drifted": float(drift.n_drifted),
            "n_columns": float(drift.n_columns),
            "psi": top.psi,
            "adjusted_p_value": top.adjusted_p_value,
        },
        sentence=_sentence(part, drift, top, n_windows=len(series), segments=segments),
        onset_position=series[0].first_position,
        last_position=series[-1].last_position,
        since=series[0].first_at,
        segment=part.segment or None,
    )


def _sentence(
    part: WindowPart, drift: DriftReport, top: ColumnDrift, *, n_windows: int, segments: Sequence[str]
) -> str:
    if drift.drifted:
        words = sentences.INPUTS_DRIFTED
    else:
        words = sentences.PREDICTIONS_DRIFTED_THERE if part.segment else sentences.PREDICTIONS_DRIFTED
    told = words % {
        "drifted": drift.n_drifted,
        "columns": drift.n_columns,
        "windows": n_windows,
        "top": top.name,
        "psi": f"{top.psi:.2f}",
        "p": f"{top.adjusted_p_value:.2g}",
    }
    if drift.drifted and part.predictions is not None and part.predictions.drifted:
        told = sentences.WITH_PREDICTIONS % {"text": told, "psi": f"{part.predictions.psi:.2f}"}
    others = [f"`{segment}`" for segment in segments if segment != part.segment]
    if others:
        told = sentences.AMONG_SEGMENTS % {"text": told, "segment_list": ", ".join(others[:3])}
    return sentences.WHERE % {"segment": part.segment, "text": told} if part.segment else told

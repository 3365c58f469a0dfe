"""An episode as a folder holds it, read and checked before any of its code runs."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from noria.core.errors import Invalid, NotFound, near
from noria.decisions.entities import Policy, Remedy

if TYPE_CHECKING:
    import polars as pl

DESCRIPTION, REFERENCE, STREAM, PIPELINE = (
    "episode.toml",
    "reference.parquet",
    "stream.parquet",
    "pipeline.py",
)
LIVE, EVENTS = "live", "events.jsonl"
WINDOW, LABEL_WINDOW = "window", "label_window"

DEFAULT_HORIZON = 10
_LIVE_FILE = re.compile(r"^(\d+)(\.fit)?\.py$")
_FEWEST_REFERENCE = 20

NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]


class EpisodeInvalid(Invalid):
    """A folder is no episode that can be replayed."""

    code = "episode_invalid"


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`episode.toml`.

    Attributes
    ----------
    metric
        Name of a metric as scikit-learn has it.
    time, key, groups
        Columns that date a row, name it, and part the rows into segments.
    costs
        `horizon` in windows, and the one-off cost of each remedy in loss summed over windows.
    policy
        `automatic`, `ask` or `forbid` by remedy, or one word for all. A replay carries out what would be asked for.
    """

    task: Literal["classification", "regression"]
    target: str
    metric: str
    time: str | None = None
    key: str | list[str] | None = None
    groups: str | list[str] = []
    costs: dict[str, NotNegative] = {}
    policy: dict[Remedy, Policy] | Policy = {}


class Happening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of `events.jsonl`."""

    window: int
    type: str = ""
    subject: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFile:
    """A deployment: `fits` tells a new model version from new code between input and model."""

    window: int
    path: Path
    fits: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What was recorded.

    Attributes
    ----------
    reference, stream
        Raw rows; the stream's with `window` and `label_window`, in the order of windows.
    columns
        Columns of the raw rows besides the target, in the order of the reference.
    apart
        Columns that date or name rows, which no contract holds.
    """

    folder: Path
    description: Description
    reference: pl.DataFrame
    stream: pl.DataFrame
    columns: tuple[str, ...]
    live: tuple[LiveFile, ...]
    happenings: tuple[Happening, ...]

    @property
    def is_classification(self) -> bool:
        """Tell whether targets are classes."""
        return self.description.task == "classification"

    @property
    def windows(self) -> list[int]:
        """Windows of the stream, in order."""
        return [int(window) for window in self.stream[WINDOW].unique().sort().to_list()]

    @property
    def apart(self) -> frozenset[str]:
        """Columns that date or name rows."""
        return frozenset({*_listed(self.description.key), *_listed(self.description.time)})

    @property
    def groups(self) -> list[str]:
        """Columns that part rows into segments."""
        return _listed(self.description.groups)

    @property
    def horizon(self) -> int:
        """Windows over which a remedy has to pay."""
        return max(1, int(self.description.costs.get("horizon", DEFAULT_HORIZON)))

    def cost_of(self, remedy: Remedy) -> float:
        """Give the one-off cost of a remedy, in loss summed over windows; 0 when none is stated."""
        return float(self.description.costs.get(remedy.value, 0.0))

    def forbids(self, remedy: Remedy) -> bool:
        """Tell whether the policy forbids a remedy."""
        policy = self.description.policy
        if isinstance(policy, Policy):
            return policy is Policy.FORBID
        return policy.get(remedy) is Policy.FORBID


def read_episode(folder: Path) -> Episode:
    """Read an episode.

    Raises
    ------
    NotFound
        If the folder or one of its files does not exist.
    EpisodeInvalid
        If it holds unknown keys, lacks columns, or could not be replayed for another reason.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder `{folder}`", hint="Name the folder that holds `episode.toml`")
    for name in (DESCRIPTION, REFERENCE, STREAM, PIPELINE):
        if not (folder / name).is_file():
            raise NotFound(f"The episode `{folder}` has no file `{name}`", hint="See the guide `replay`")
    description = _described(folder / DESCRIPTION)
    reference, stream = _frame(folder / REFERENCE), _frame(folder / STREAM)
    stream = _checked_stream(stream)
    columns = _checked_columns(description, reference, stream)
    return Episode(
        folder=folder,
        description=description,
        reference=_with_targets(reference, description),
        stream=stream,
        columns=columns,
        live=_live_files(folder / LIVE),
        happenings=_happenings(folder / EVENTS),
    )


def _described(path: Path) -> Description:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        known = {field.name for field in msgspec.structs.fields(Description)}
        for key in found:
            _known(key, known, path.name)
        for key in found.get("costs", {}):
            _known(key, {"horizon", *Remedy}, f"{path.name}, `[costs]`")
        return msgspec.convert(found, Description)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError, AttributeError) as error:
        raise EpisodeInvalid(f"`{path.name}` cannot be read: {error}") from error


def _known(key: str, known: set[str], where: str) -> None:
    if key not in known:
        close = near(key, sorted(known))
        hint = f"Did you mean `{close}`?" if close else f"Known keys: {', '.join(sorted(known))}"
        raise EpisodeInvalid(f"`{where}` has the unknown key `{key}`", hint=hint)


def _frame(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise EpisodeInvalid(f"`{path.name}` is no Parquet file that can be read: {error}") from error


def _checked_stream(stream: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    for name in (WINDOW, LABEL_WINDOW):
        if name not in stream.columns:
            raise EpisodeInvalid(
                f"`{STREAM}` has no column `{name}`", hint="Add it: a whole number for each row"
            )
    if not stream.height:
        raise EpisodeInvalid(f"`{STREAM}` holds no rows")
    for name in (WINDOW, LABEL_WINDOW):
        if stream[name].dtype.is_float() and (stream[name] != stream[name].round()).any():
            raise EpisodeInvalid(f"`{name}` of `{STREAM}` has to hold whole numbers")
    try:
        stream = stream.with_columns(
            pl.col(WINDOW).cast(pl.Int64, strict=True), pl.col(LABEL_WINDOW).cast(pl.Int64, strict=True)
        )
    except pl.exceptions.PolarsError as error:
        raise EpisodeInvalid(
            f"`{WINDOW}` and `{LABEL_WINDOW}` of `{STREAM}` have to be whole numbers"
        ) from error
    if stream[WINDOW].null_count():
        raise EpisodeInvalid(f"{stream[WINDOW].null_count()} rows of `{STREAM}` have no `{WINDOW}`")
    early = stream.filter(pl.col(LABEL_WINDOW) < pl.col(WINDOW)).height
    if early:
        raise EpisodeInvalid(f"{early} rows of `{STREAM}` have a `{LABEL_WINDOW}` before their `{WINDOW}`")
    return stream.sort(WINDOW, maintain_order=True)


def _checked_columns(
    description: Description, reference: pl.DataFrame, stream: pl.DataFrame
) -> tuple[str, ...]:
    for frame, name in ((reference, REFERENCE), (stream, STREAM)):
        if description.target not in frame.columns:
            raise EpisodeInvalid(
                f"`{name}` has no column `{description.target}`, which `{DESCRIPTION}` names as target"
            )
    columns = tuple(
        name for name in reference.columns if name not in (description.target, WINDOW, LABEL_WINDOW)
    )
    if not columns:
        raise EpisodeInvalid(f"`{REFERENCE}` has no column besides the target")
    missing = [name for name in columns if name not in stream.columns]
    if missing:
        raise EpisodeInvalid(f"`{STREAM}` lacks the columns {', '.join(f'`{name}`' for name in missing)}")
    named = {
        **dict.fromkeys(_listed(description.time), "time"),
        **dict.fromkeys(_listed(description.key), "key"),
    }
    for name, role in {**named, **dict.fromkeys(_listed(description.groups), "groups")}.items():
        if name not in columns:
            raise EpisodeInvalid(
                f"`{DESCRIPTION}` names `{name}` as `{role}`, which is no column of the rows"
            )
    return columns


def _with_targets(reference: pl.DataFrame, description: Description) -> pl.DataFrame:
    import polars as pl

    target = pl.col(description.target)
    kept = reference.filter(target.is_not_null())
    if description.task == "regression":
        if not reference[description.target].dtype.is_numeric():
            raise EpisodeInvalid(f"The target `{description.target}` of a regression has to be a number")
        kept = kept.filter(target.cast(pl.Float64).is_finite())
    if kept.height < _FEWEST_REFERENCE:
        raise EpisodeInvalid(
            f"`{REFERENCE}` has {kept.height} rows with a target; at least {_FEWEST_REFERENCE} are needed"
        )
    if description.task == "classification" and kept[description.target].n_unique() < 2:
        raise EpisodeInvalid(f"The target `{description.target}` has one class only in `{REFERENCE}`")
    return kept


def _live_files(folder: Path) -> tuple[LiveFile, ...]:
    if not folder.is_dir():
        return ()
    found: dict[tuple[int, bool], LiveFile] = {}
    for path in sorted(folder.iterdir()):
        matched = _LIVE_FILE.match(path.name)
        if matched is None:
            if path.name[:1].isdigit():
                raise EpisodeInvalid(
                    f"`{LIVE}/{path.name}` has no name that says what it is",
                    hint="Name it `NNN.py` or `NNN.fit.py` after its window",
                )
            continue
        place = (int(matched[1]), matched[2] is not None)
        if place in found:
            raise EpisodeInvalid(
                f"`{LIVE}/{path.name}` and `{LIVE}/{found[place].path.name}` are of one window"
            )
        found[place] = LiveFile(window=place[0], path=path, fits=place[1])
    return tuple(found[place] for place in sorted(found))


def _happenings(path: Path) -> tuple[Happening, ...]:
    if not path.is_file():
        return ()
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found.append(msgspec.json.decode(line, type=Happening))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EpisodeInvalid(f"Line {number} of `{path.name}` cannot be read: {error}") from error
    return tuple(sorted(found, key=lambda happening: happening.window))


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)

"""Read the options of `noria k8s render batch`, each checked: what a pod could not do is refused here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from noria.core.errors import Invalid, near
from noria.core.names import check_name, split_ref
from noria.delivery.kubernetes.names import SecretKey, secret_key

_SQL = re.compile(r"\s*(?:select|with|table|values)\s", re.IGNORECASE)
_FIELD = re.compile(r"(?:[0-9*/,-]|[A-Za-z]{3})+")
_SUNDAY = re.compile(r"(?:^|[,-])7(?:$|[,/-])")
_POSTGRES_PORT: Final = 5432


def read_versions(blue: str, green: str) -> dict[str, str]:
    """Read which versions predict into which slot.

    Raises
    ------
    Invalid
        If both are the same, which would be compared with itself for ever.
    """
    found = {"blue": _ref("--blue", blue), "green": _ref("--green", green)}
    if found["blue"] == found["green"]:
        raise Invalid(
            f"`--blue` and `--green` are both `{blue}`",
            hint="Name two aliases that move, such as `--blue iris@champion --green iris@challenger`",
        )
    return found


def read_schedule(cron: str, timezone: str) -> tuple[str, str]:
    """Read when a CronJob begins, and in which time zone.

    Kubernetes knows five fields with numbers, names of three letters, `*`, `,`, `-` and `/`, and Sunday as 0 alone.

    Raises
    ------
    Invalid
        If it is no such time, or there is no such zone.
    """
    from cronsim import CronSim, CronSimError

    fields = cron.split()
    hint = 'Minute, hour, day of the month, month, day of the week: `--schedule "0 3 * * MON-FRI"`'
    if len(fields) != 5 or not all(_FIELD.fullmatch(field) for field in fields):
        raise Invalid(f"`{cron}` of `--schedule` is no time that Kubernetes takes", hint=hint)
    if _SUNDAY.search(fields[4]):
        raise Invalid(f"`{cron}` of `--schedule` has the day 7", hint="Kubernetes knows Sunday as 0 or `SUN`")
    try:
        from datetime import UTC, datetime

        CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise Invalid(f"`{cron}` of `--schedule` is no time: {str(error).lower()}", hint=hint) from error
    try:
        ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        from zoneinfo import available_timezones

        close = near(timezone, available_timezones())
        hint = f"Did you mean `{close}`?" if close else "Such as `Europe/Berlin`"
        raise Invalid(f"`{timezone}` of `--timezone` is not a time zone", hint=hint) from error
    return " ".join(fields), timezone


def read_input(source: str, url: str | None) -> tuple[str, SecretKey | None]:
    """Read what rows are predicted, and the address of the database that they are in.

    Raises
    ------
    Invalid
        If it is a file, which no pod has, or a statement without a database, or the other way round.
    """
    from noria.serving.batch.reading import FILES

    is_statement = _SQL.match(source) is not None
    if is_statement is not (url is not None):
        raise Invalid(
            "A statement of SQL and the address of its database go together",
            hint='`--input "select …" --input-url SECRET:KEY`, or a dataset without `--input-url`',
        )
    if is_statement and url is not None:
        return source, secret_key("--input-url", url, key="url")
    if "/" in source or PurePath(source).suffix.lower() in FILES:
        raise Invalid(
            f"`{source}` of `--input` is a file, and pods have no files of yours",
            hint="Name a table of the server; `noria data append TABLE FILE` makes one of a file",
        )
    check_name("dataset", split_ref(source)[0])
    return source, None


def read_output(output: str, password: str | None) -> tuple[str, SecretKey | None, tuple[int, ...]]:
    """Read where rows go: the address, the password of its database, and the ports that lead there.

    Raises
    ------
    Invalid
        If it is a file, which ends with its pod, or holds a password, which would be written into the manifest.
    """
    from noria.serving.batch.sinks.port import check_output, has_password

    check_output(output)
    if output.endswith(".parquet") and "://" not in output:
        raise Invalid(
            f"`{output}` of `--output` is a file, which ends with its pod",
            hint="Name a table of Noria, or `postgresql://user@host/database#schema.table`",
        )
    if "://" not in output:
        if password is not None:
            raise Invalid(f"The table `{output}` takes no password", hint="Leave out `--output-password`")
        return output, None, ()
    try:
        port = urlsplit(output).port or _POSTGRES_PORT
        if has_password(output):
            raise Invalid(
                "The address of `--output` has a password in it, which would be written into the manifest",
                hint="Leave it out, and name a Secret that holds it: `--output-password SECRET:KEY`",
            )
    except ValueError as error:
        raise Invalid(
            f"`--output` is no address: {error}", hint="`postgresql://user@host/database#table`"
        ) from error
    named = None if password is None else secret_key("--output-password", password, key="password")
    return output, named, (port,)


def read_words(
    *,
    source: str,
    output: str,
    key: Sequence[str],
    keep: Sequence[str],
    probabilities: bool,
    duplicates: str,
    unfit: str,
    workers: int,
) -> tuple[str, ...]:
    """Give the arguments of `noria predict`; those that are as usual are left out.

    Raises
    ------
    Invalid
        If a choice is none that `noria predict` knows.
    """
    from noria.serving.batch.client import one_of
    from noria.serving.batch.entities import Duplicates, Unfit

    chosen = one_of(Duplicates, duplicates, "duplicates"), one_of(Unfit, unfit, "unfit")
    columns = [("--key", each) for each in key] + [("--keep", each) for each in keep]
    return (
        *("--input", source, "--output", output),
        # `--key=--x` stays one word whatever a column is called.
        *(f"{option}={column}" for option, column in columns),
        *(["--probabilities"] if probabilities else []),
        *(["--duplicates", chosen[0].value] if chosen[0] is not Duplicates.KEEP else []),
        *(["--unfit", chosen[1].value] if chosen[1] is not Unfit.REFUSE else []),
        *(["--workers", str(workers)] if workers > 1 else []),
    )


def _ref(option: str, ref: str) -> str:
    model, selector = split_ref(ref)
    if selector is None:
        raise Invalid(
            f"`{ref}` of `{option}` says not which version",
            hint=f"A version or an alias that moves: `{option} {model}@champion`",
        )
    check_name("model", model)
    check_name("alias", selector)
    return ref

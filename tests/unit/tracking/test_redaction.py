"""Secrets are hidden, and nothing else."""

from __future__ import annotations

import pytest

from noria.tracking.redaction import HIDDEN, LineRedactor, Redactor, redact, redact_code, redact_command

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["train.py", "--lr", "0.1"], "train.py --lr 0.1"),
        (["train.py", "--password", "pw1"], f"train.py --password {HIDDEN}"),
        (["train.py", "--db-password=pw1"], f"train.py --db-password={HIDDEN}"),
        (["train.py", "--api-key", "k", "--epochs", "3"], f"train.py --api-key {HIDDEN} --epochs 3"),
        (["train.py", "--API_KEY=k"], f"train.py --API_KEY={HIDDEN}"),
        (
            ["train.py", "--max-tokens", "512", "--tokenizer=bert"],
            "train.py --max-tokens 512 --tokenizer=bert",
        ),
        (["train.py", "--token", "--verbose"], "train.py --token --verbose"),
        (["noria", "run", "-p", "secret=abc"], f"noria run -p secret={HIDDEN}"),
        (["train.py", "a b"], "train.py 'a b'"),
        (["x", "postgresql://ana:pw@db/runs"], f"x postgresql://{HIDDEN}@db/runs"),
    ],
)
def test_values_of_secret_options_are_hidden(arguments: list[str], shown: str) -> None:
    """The name of the option stays, its value does not; the rest can be copied into a shell."""
    assert redact_command(arguments) == shown


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1" * 18,
        "glpat-" + "x" * 20,
        "sk-" + "z" * 40,
        "AKIA" + "Q" * 16,
        "xoxb-123456789012-abc",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def",
    ],
)
def test_known_shapes_of_secrets_are_hidden(secret: str) -> None:
    """A token is hidden wherever it stands."""
    assert secret not in redact(f"fetching with {secret} now")
    assert secret not in redact_command(["fetch", secret])


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345678",
        '{"password": "hunter22"}',
        "https://user:hunter22@host/x",
        "AWS_SECRET_ACCESS_KEY=hunter22abcdefgh",
        "token: hunter22",
    ],
)
def test_secrets_in_free_text_are_hidden(text: str) -> None:
    """Error messages are kept with runs; passwords in them are not."""
    redacted = redact(text)

    assert "hunter22" not in redacted
    assert "abcdefgh12345678" not in redacted
    assert HIDDEN in redacted


@pytest.mark.parametrize(
    "text", ["a basic understanding", "keyboard", "n_tokens", "the secretary left", "max_token_length 5"]
)
def test_ordinary_words_stay(text: str) -> None:
    """Text without a secret is not changed."""
    assert redact(text) == text


def test_what_is_quoted_is_hidden_whole() -> None:
    """A passphrase of several words leaves none of them."""
    assert redact('password: "open sesame please"; lr=0.1') == f"password: {HIDDEN}; lr=0.1"


def test_in_a_program_only_literals_are_secrets() -> None:
    """Code that handles tokens stays as it is, so that its diff still applies."""
    code = "token = next(tokens)\nself.password = None\napi_key: str\n"

    assert redact_code(code) == code
    assert redact_code("api_key = 'abcdef'") == f"api_key = {HIDDEN}"
    assert "hunter2" not in redact_code("connect('postgres://ana:hunter2@db')")


def test_private_keys_are_hidden() -> None:
    """All of a PEM block goes, also when its end was cut off."""
    assert redact(f"a\n{PEM}\nb") == f"a\n-----BEGIN RSA PRIVATE KEY-----{HIDDEN}\nb"
    assert "MIIEabc" not in redact(PEM.partition("-----END")[0])


def test_values_of_the_environment_are_hidden_wherever_they_stand() -> None:
    """Names speak of secrets; their values are looked for in everything, also in an address."""
    redactor = Redactor(
        {
            "SERVICE_TOKEN": "zuckerwatte",
            "DATABASE_URL": "postgresql://ana:p%40ss-word@db/runs",
            "MYSQL_PWD": "sesame/open",
            "PWD": "/home/ana/project",
            "SHORT_TOKEN": "1",
        }
    )

    assert redactor.text("x zuckerwatte y") == f"x {HIDDEN} y"
    assert redactor.text("p@ss-word p%40ss-word") == f"{HIDDEN} {HIDDEN}"
    assert redactor.text("sesame%2Fopen") == HIDDEN
    assert redactor.text("/home/ana/project 1") == "/home/ana/project 1"
    assert redactor.command(["train.py", "zuckerwatte"]) == f"train.py {HIDDEN}"
    assert redactor.code("call('zuckerwatte')") == f"call('{HIDDEN}')"


def test_a_diff_is_redacted_by_what_its_files_are() -> None:
    """Programs keep their names, settings lose their values."""
    diff = (
        "diff --git a/a.py b/a.py\n+token = next(tokens)\n"
        "diff --git a/.env b/.env\n+TOKEN=abcdef\n-PASSWORD=old\n"
    )

    assert Redactor({}).diff(diff) == (
        "diff --git a/a.py b/a.py\n+token = next(tokens)\n"
        f"diff --git a/.env b/.env\n+TOKEN={HIDDEN}\n-PASSWORD={HIDDEN}\n"
    )


def test_a_key_over_several_lines_is_hidden_line_by_line() -> None:
    """A stream comes in pieces; nothing of a private key passes."""
    lines = LineRedactor(Redactor({}))
    first = lines.lines(["a", *PEM.splitlines()[:2]])
    rest = lines.lines([*PEM.splitlines()[2:], "b", "password=x"])

    assert "MIIEabc" not in "".join(first)
    assert rest == ["b", f"password={HIDDEN}"]
    assert lines.lines([PEM.replace("\n", "")])[0].count("MIIE") == 0


@pytest.mark.parametrize("line", ["a." * 40_000, "a" * 80_000, "x://" * 20_000, "token" * 16_000])
def test_no_text_takes_long(line: str) -> None:
    """The patterns look at each place a bounded number of times, whatever somebody prints."""
    assert redact(line)

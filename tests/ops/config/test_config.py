"""Configuration errors name file, line and key; the sample file has the defaults."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from imapvm.ops.config.file import CONFIG_MAX, Config, ConfigFile, Table, read_config
from imapvm.ops.errors import CONFIGURATION, ConfigError, OperatorError

SAMPLE = Path(__file__).parents[3] / "config/imapvm.toml"


def keys(table=Config, above=()):
    for field in msgspec.structs.fields(table):
        if isinstance(field.type, type) and issubclass(field.type, Table):
            yield from keys(field.type, (*above, field.name))
        else:
            yield (*above, field.name)


def written(values, above=()):
    for name, value in values.items():
        if isinstance(value, dict):
            yield from written(value, (*above, name))
        else:
            yield (*above, name)


def test_sample_file_has_every_key_with_its_default():
    assert read_config(SAMPLE).config == Config()
    assert list(written(tomllib.loads(SAMPLE.read_text()))) == list(keys())


def test_sample_file_describes_every_key():
    text = SAMPLE.read_text()
    for *_, name in keys():
        assert re.search(rf"^#.*\n{name} = ", text, re.MULTILINE) or name in {"key"}, name


def test_empty_file_has_all_defaults():
    assert ConfigFile(Path("c.toml"), "").config == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nworkers = 'x'", "c.toml:2: workers: expected an integer, got a string"),
        ("workers = -1", "c.toml:1: workers: expected an integer >= 0"),
        ("workers = 257", "c.toml:1: workers: expected an integer <= 256"),
        (
            "[listen]\n\nimap = [\n 'a:1',\n 3]",
            "c.toml:3: listen.imap: expected a string, got an integer",
        ),
        (
            "[login]\nplaintext = 'sometimes'",
            "c.toml:2: login.plaintext: invalid value 'sometimes'"
            " (choose from never, loopback, always)",
        ),
        (
            "[listen]\nimapss = []",
            "c.toml:2: listen.imapss: unknown key; did you mean imaps?",
        ),
        ("lmtp = []", "c.toml:1: lmtp: unknown key; did you mean listen.lmtp?"),
        ("[listne]\nimap = []", "c.toml:1: listne: unknown key; did you mean listen?"),
        ("[entirely.else]", "c.toml:1: entirely: unknown key"),
        ("tls = 3", "c.toml:1: tls: expected a table, got an integer"),
        ("a = 1\nb = [1,,2]", "c.toml:2: column 8: Invalid value"),
        ("a = 1\na = 2", "c.toml:2: Cannot overwrite a value"),
        ("\n\na = [1,\n", "c.toml:4: "),
        ("delivery.sendmail = []", "c.toml:1: delivery.sendmail: expected an array of length"),
    ],
)
def test_error_names_file_line_and_key(text, message):
    with pytest.raises(ConfigError) as caught:
        ConfigFile(Path("c.toml"), text)
    assert str(caught.value).startswith(message)
    assert caught.value.code == CONFIGURATION
    assert "\n" not in str(caught.value)


def test_ends_of_a_range_are_accepted():
    assert ConfigFile(Path("c"), "workers = 0").config.workers == 0
    assert ConfigFile(Path("c"), "workers = 256").config.workers == 256


def test_missing_file(tmp_path):
    with pytest.raises(OperatorError, match=r"^cannot read .*no\.toml: no such file or directory$"):
        read_config(tmp_path / "no.toml")


def test_directory(tmp_path):
    with pytest.raises(OperatorError, match=r"^cannot read .*: is a directory$") as caught:
        read_config(tmp_path)
    assert caught.value.code == CONFIGURATION


def test_file_that_is_not_utf8(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"# a\nhostname = '\xff'\n")
    with pytest.raises(ConfigError, match=r"c\.toml:2: not UTF-8"):
        read_config(tmp_path / "c.toml")


def test_file_at_and_above_the_size_limit(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"#" * CONFIG_MAX)
    assert read_config(path).config == Config()
    path.write_bytes(b"#" * (CONFIG_MAX + 1))
    with pytest.raises(OperatorError, match=f"larger than {CONFIG_MAX} bytes"):
        read_config(path)


def test_relative_paths_start_at_the_directory_of_the_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("")
    assert read_config(path).path_of("pool") == tmp_path / "pool"
    assert read_config(path).path_of("/var/pool") == Path("/var/pool")

"""A configuration mistake names file, line and key; the sample file says the defaults."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from imapvm.ops.config.file import CONFIG_MAX, Config, ConfigFile, Table, read_config
from imapvm.ops.errors import CONFIGURATION, ConfigError

SAMPLE = Path(__file__).parents[2] / "config/imapvm.toml"


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


def test_the_sample_file_has_every_key_with_its_default_and_nothing_else():
    assert read_config(SAMPLE).config == Config()
    assert list(written(tomllib.loads(SAMPLE.read_text()))) == list(keys())


def test_the_sample_file_says_why_for_every_key():
    text = SAMPLE.read_text()
    for *_, name in keys():
        assert re.search(rf"^#.*\n{name} = ", text, re.MULTILINE) or name in {"key"}, name


def test_an_empty_file_is_all_defaults():
    assert ConfigFile(Path("c.toml"), "").config == Config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("\nworkers = 'x'", "c.toml:2: workers: expected a whole number, got a string"),
        ("workers = -1", "c.toml:1: workers: expected a whole number >= 0"),
        ("workers = 257", "c.toml:1: workers: expected a whole number <= 256"),
        (
            "[listen]\n\nimap = [\n 'a:1',\n 3]",
            "c.toml:3: listen.imap: expected a string, got a whole number",
        ),
        (
            "[login]\nplaintext = 'sometimes'",
            "c.toml:2: login.plaintext: there is no choice 'sometimes'"
            " (choose from: never, loopback, always)",
        ),
        (
            "[listen]\nimapss = []",
            "c.toml:2: listen.imapss: there is no such key; did you mean imaps?",
        ),
        ("lmtp = []", "c.toml:1: lmtp: there is no such key; did you mean listen.lmtp?"),
        ("[listne]\nimap = []", "c.toml:1: listne: there is no such key; did you mean listen?"),
        ("[entirely.else]", "c.toml:1: entirely: there is no such key"),
        ("tls = 3", "c.toml:1: tls: expected a table, got a whole number"),
        ("a = 1\nb = [1,,2]", "c.toml:2: column 8: Invalid value"),
        ("a = 1\na = 2", "c.toml:2: Cannot overwrite a value"),
        ("\n\na = [1,\n", "c.toml:4: "),
        ("delivery.sendmail = []", "c.toml:1: delivery.sendmail: expected a list [...] of length"),
    ],
)
def test_a_mistake_names_file_line_and_key(text, says):
    with pytest.raises(ConfigError) as caught:
        ConfigFile(Path("c.toml"), text)
    assert str(caught.value).startswith(says)
    assert caught.value.code == CONFIGURATION
    assert "\n" not in str(caught.value)


def test_the_range_ends_are_in_the_range():
    assert ConfigFile(Path("c"), "workers = 0").config.workers == 0
    assert ConfigFile(Path("c"), "workers = 256").config.workers == 256


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"no\.toml: there is no such file$"):
        read_config(tmp_path / "no.toml")


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config(tmp_path)


def test_octets_that_are_not_utf8(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"# a\nhostname = '\xff'\n")
    with pytest.raises(ConfigError, match=r"c\.toml:2: is not UTF-8"):
        read_config(tmp_path / "c.toml")


def test_a_file_of_the_greatest_length_is_read_and_one_longer_is_not(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"#" * CONFIG_MAX)
    assert read_config(path).config == Config()
    path.write_bytes(b"#" * (CONFIG_MAX + 1))
    with pytest.raises(ConfigError, match="is longer than"):
        read_config(path)


def test_relative_paths_start_at_the_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("")
    assert read_config(path).path_of("pool") == tmp_path / "pool"
    assert read_config(path).path_of("/var/pool") == Path("/var/pool")

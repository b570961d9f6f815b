"""Scenario files: values, and errors with file and key."""

import pytest

from imapvm_bench.errors import BenchError
from imapvm_bench.scenario import file as scenario_file
from imapvm_bench.scenario.model import Needs
from imapvm_bench.scenario.template import PLACEHOLDERS, TemplateError, label_of, parse

FULL = """
about = "everything"
connections = 7
pipeline = 3
measure = "MB/s"
login = ["LOGIN {user} {password}"]
setup = ["SELECT INBOX", { send = "CREATE x", may_fail = true }]

[messages]
count = 5
sizes = [100, 200]
shapes = ["plain", "nested"]
seed = 9

[needs]
mailbox = "Archive"
messages = 12

[[mix]]
name = "one"
weight = 2.5
think_ms = [10, 20]
commands = ["NOOP", { send = "UID FETCH {random 1 9}:{exists} (FLAGS)", label = "flags" }]

[[mix]]
think_ms = 5
commands = ["APPEND INBOX {message}"]
"""


def errors(text):
    with pytest.raises(scenario_file.ScenarioError) as caught:
        scenario_file.read(text, "my.toml", "my")
    return list(caught.value.errors)


def test_a_file_with_everything_is_read():
    scenario = scenario_file.read(FULL, "full.toml", "full")
    assert (scenario.name, scenario.connections, scenario.pipeline) == ("full", 7, 3)
    assert scenario.measure == "MB/s"
    assert scenario.needs == Needs("Archive", 12)
    assert scenario.messages.sizes == (100, 200)
    assert scenario.messages.shapes == ("plain", "nested")
    assert [c.label for c in scenario.login] == ["LOGIN"]
    assert [c.may_fail for c in scenario.setup] == [False, True]
    one, two = scenario.mix
    assert (one.name, one.weight, one.think_ms) == ("one", 2.5, (10, 20))
    assert (two.name, two.weight, two.think_ms) == ("APPEND", 1.0, (5, 5))
    assert [c.label for c in one.commands] == ["NOOP", "flags"]
    assert one.commands[1].parts == (
        {"text": "UID FETCH "},
        {"random": [1, 9]},
        {"text": ":"},
        {"exists": True},
        {"text": " (FLAGS)"},
    )
    assert scenario.sends_messages


def test_builtin_scenarios_are_valid_and_described():
    expected = "append bulk-fetch idle lmtp login-storm mixed noop search sync webmail"
    assert scenario_file.names() == expected.split()
    for name in scenario_file.names():
        assert scenario_file.load(name).about, name


def test_a_file_is_loaded_by_its_path(tmp_path):
    (tmp_path / "own.toml").write_text(scenario_file.text_of("noop"))
    assert scenario_file.load(str(tmp_path / "own.toml")).name == "own"
    with pytest.raises(BenchError, match="cannot read"):
        scenario_file.load(str(tmp_path / "other.toml"))


def test_an_unknown_name_is_refused_with_the_known_names():
    with pytest.raises(BenchError, match=r"'nop': use one of append, .*noop"):
        scenario_file.load("nop")


MINIMAL = 'about = "a"\n[[mix]]\ncommands = ["NOOP"]\n'


def with_head(line):
    return f"{line}\n{MINIMAL}"


def with_entry(line):
    return f"{MINIMAL}{line}\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("about = ", "my.toml: not TOML: "),
        ('[[mix]]\ncommands = ["NOOP"]', "my.toml: about: missing"),
        (
            'about = " "\n[[mix]]\ncommands = ["NOOP"]',
            "my.toml: about: must be a non-empty string, not",
        ),
        ('about = "a"', "my.toml: mix: missing"),
        ('about = "a"\nmix = []', "my.toml: mix: empty"),
        ('about = "a"\nmix = [3]', "my.toml: mix[1]: must be a table, not 3"),
        ('about = "a"\nmix = "x"', "my.toml: mix: must be a list, not 'x'"),
        ('about = "a"\n[[mix]]\nname = "x"', "my.toml: mix[1].commands: missing"),
        ('about = "a"\n[[mix]]\ncommands = []', "my.toml: mix[1].commands: empty"),
        (
            with_head('protocol = "pop3"'),
            "my.toml: protocol: must be one of imap, lmtp, not 'pop3'",
        ),
        (with_head("connections = 0"), "my.toml: connections: must be an integer from 1 to"),
        (with_head("connections = 1.5"), "my.toml: connections: must be an integer from 1 to"),
        (with_head("connections = true"), "my.toml: connections: must be an integer from 1 to"),
        (with_head("pipeline = 1001"), "my.toml: pipeline: must be an integer from 1 to 1,000"),
        (with_head("reconnect = 1"), "my.toml: reconnect: must be true or false, not 1"),
        (with_head('measure = "cats"'), "my.toml: measure: must be one of commands/s, "),
        (with_head("conections = 3"), "my.toml: conections: unknown key: use "),
        (with_head("login = [3]"), "my.toml: login[1]: must be a string, or a table with send"),
        (
            with_head("reconnect = true\npipeline = 2"),
            "my.toml: pipeline: must be 1 with reconnect",
        ),
        (with_entry("weight = 0"), "my.toml: mix[1].weight: must be a number above 0, not 0"),
        (with_entry("weight = inf"), "my.toml: mix[1].weight: must be a number above 0, not inf"),
        (with_entry("think_ms = [3, 2]"), "my.toml: mix[1].think_ms: must be [low, high]"),
        (with_entry("think_ms = [3]"), "my.toml: mix[1].think_ms: must be [low, high]"),
        (with_entry("wait = 3"), "my.toml: mix[1].wait: unknown key: use "),
        (with_entry('[[mix]]\ncommands = ["NOOP"]'), "my.toml: mix[2].name: duplicate name 'NOOP'"),
        (with_entry("[messages]\ncount = 0"), "my.toml: messages.count: must be an integer"),
        (
            with_entry("[messages]\nsizes = []"),
            "my.toml: messages.sizes: must be a list of integers",
        ),
        (with_entry("[messages]\nsizes = [0]"), "my.toml: messages.sizes: must have integers"),
        (with_entry('[messages]\nshapes = ["x"]'), "my.toml: messages.shapes: unknown shape 'x'"),
        (
            with_entry('[messages]\nshapes = "x"'),
            "my.toml: messages.shapes: must be a list of strings",
        ),
        (with_entry("[messages]\nsize = 3"), "my.toml: messages.size: unknown key"),
        (with_entry("[needs]\nmessages = -1"), "my.toml: needs.messages: must be an integer"),
        ('about = "a"\nneeds = 3\n[[mix]]\ncommands = ["NOOP"]', "my.toml: needs: must be a table"),
    ],
)
def test_an_error_has_file_and_key(text, line):
    found = errors(text)
    assert len(found) == 1
    assert found[0].startswith(line)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ('{ label = "x" }', "my.toml: mix[1].commands[1].send: missing"),
        ('{ send = "NOOP", hold_ms = 5 }', "my.toml: mix[1].commands[1].hold_ms: only for IDLE"),
        ('{ send = "NOOP", wait = 5 }', "my.toml: mix[1].commands[1].wait: unknown key"),
        ('"NOOP {usr}"', "my.toml: mix[1].commands[1].send: unknown placeholder {usr}: use {user}"),
        (
            '"NOOP {"',
            "my.toml: mix[1].commands[1].send: single '{': write '{{' for a literal brace",
        ),
        ('"NOOP }"', "my.toml: mix[1].commands[1].send: single '}'"),
        ('"NOOP {random 3}"', "my.toml: mix[1].commands[1].send: {random 3}: write {random F"),
        ('"NOOP {random 3 1}"', "my.toml: mix[1].commands[1].send: {random 3 1}: FIRST is above"),
        ('"A {random_range 0}"', "my.toml: mix[1].commands[1].send: {random_range 0}: write"),
        ('"NOOP\\r\\nNOOP"', "my.toml: mix[1].commands[1].send: more than one line"),
        ('"NOOP {data}"', "my.toml: mix: {data} is for LMTP; use {message} for IMAP"),
        ('"FETCH {exists} FLAGS"', "my.toml: setup: needs a SELECT"),
    ],
)
def test_an_error_in_a_command_has_its_path(command, line):
    found = errors(f'about = "a"\n[[mix]]\nname = "n"\ncommands = [{command}]\n')
    assert [m for m in found if m.startswith(line)] == found[:1]


@pytest.mark.parametrize("commands", ['"DATA"', '"NOOP {data}"', '"DATA", "{data}"'])
def test_data_of_lmtp_is_one_command_with_its_message(commands):
    text = f'about = "a"\nprotocol = "lmtp"\n[[mix]]\ncommands = [{commands}]\n'
    assert errors(text) == [
        'my.toml: mix: DATA needs {data}, and {data} needs DATA: write "DATA {data}"'
    ]


def test_lmtp_has_neither_literals_nor_mailboxes():
    text = 'about = "a"\nprotocol = "lmtp"\n[[mix]]\ncommands = ["NOOP {message}"]\n'
    assert errors(text) == [
        "my.toml: mix: {message} and {exists} are for IMAP; use {data} for LMTP"
    ]


def test_idle_is_not_pipelined():
    text = 'about = "a"\npipeline = 2\n[[mix]]\ncommands = ["IDLE"]\n'
    assert "my.toml: pipeline: must be 1 in a mix with IDLE" in errors(text)[0]


def test_all_errors_are_reported_at_once():
    text = 'connections = 0\nfoo = 1\n[[mix]]\ncommands = ["{x}"]\nweight = "much"\n'
    keys = [line.split(": ")[1] for line in errors(text)]
    assert keys == ["about", "connections", "mix[1].commands[1].send", "mix[1].weight", "foo"]


def test_every_placeholder_of_the_manual_is_parsed():
    for name in PLACEHOLDERS:
        shown = name.replace("FIRST", "1").replace("LAST", "2").replace("COUNT", "3")
        (part,) = parse("{" + shown + "}")
        assert list(part) == [name.split()[0]]


def test_braces_can_be_escaped():
    assert parse("x {{5}} y") == ({"text": "x {5} y"},)
    with pytest.raises(TemplateError, match="empty command"):
        parse("  ")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("noop", "NOOP"),
        ("uid fetch 1:* FLAGS", "UID FETCH"),
        ("MAIL FROM:<a@b>", "MAIL"),
        ("RCPT TO:<{user}>", "RCPT"),
        ("{data}", "DATA"),
    ],
)
def test_the_label_of_a_command_is_its_verb(text, label):
    assert label_of(text).upper() == label

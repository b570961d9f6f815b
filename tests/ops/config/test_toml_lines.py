"""Line numbers of keys, with any values between them."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from imapvm.ops.config.toml_lines import lines_of_keys

TEXT = '''# a comment = not a key
a = 1
b = [
  "x = 1",  # ] not the end
  "[t]",
]

c = """
d = 5
[not.a.table]
"""
"quoted key" = \'\'\'
e = 6
\'\'\'

[t]
x = "a # b"
u.v = { q = 1, r = [1,
  2] }

[t.'inner one'] # here
x = true
[[many]]
k = 1
[[many]]
k = 2
last = "\\" = [" '''


def test_keys_between_strings_arrays_and_comments():
    tomllib.loads(TEXT)
    assert lines_of_keys(TEXT) == {
        ("a",): 2,
        ("b",): 3,
        ("c",): 8,
        ("quoted key",): 12,
        ("t",): 16,
        ("t", "x"): 17,
        ("t", "u", "v"): 18,
        ("t", "inner one"): 21,
        ("t", "inner one", "x"): 22,
        ("many",): 23,
        ("many", "k"): 24,
        ("many", "last"): 27,
    }


def test_crlf_line_ends():
    assert lines_of_keys("a = 1\r\n\r\n[b]\r\nc = 2\r\n") == {("a",): 1, ("b",): 3, ("b", "c"): 4}


value = st.one_of(
    st.integers(-9, 9).map(str),
    st.sampled_from(
        ["true", '"x = 1 # y"', "'[z]'", '[\n "]",\n]', '"""\na = 1\n"""', "{ i = 1 }"]
    ),
)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), value), max_size=20))
def test_every_key_is_found_at_its_line(entries):
    text, expected = "", {}
    table = ()
    for number, (blank, opens, written) in enumerate(entries):
        text += "\n" * blank
        if opens:
            table = (f"t{number}",)
            expected[table] = text.count("\n") + 1
            text += f"[t{number}]  # {written.splitlines()[0]}\n"
        expected[(*table, f"k{number}")] = text.count("\n") + 1
        text += f"k{number} = {written}\n"
    tomllib.loads(text)
    assert lines_of_keys(text) == expected

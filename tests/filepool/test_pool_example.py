"""The example in the docstring of `open_filepool` runs."""

import doctest

from imapvm.filepool import pool


def test_example_runs(tmp_path):
    result = doctest.testmod(pool, extraglobs={"directory": tmp_path})
    assert result.attempted > 0
    assert result.failed == 0

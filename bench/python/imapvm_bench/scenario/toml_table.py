"""Typed access to a TOML table. Errors are collected, each with file and key."""

from collections.abc import Iterator, Sequence
from typing import Any


class TomlErrors:
    """Errors of a file, in order."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[str] = []

    def add(self, key: str, error: str) -> None:
        """Add `FILE: KEY: ERROR`, once."""
        line = f"{self.file}: {key}: {error}"
        if line not in self.found:
            self.found.append(line)


class TomlTable:
    """Values by key and type. A missing or wrong value becomes an error and the default."""

    def __init__(self, values: dict[str, Any], place: str, errors: TomlErrors) -> None:
        self.values = values
        self.place = place
        self.errors = errors
        self.asked: list[str] = []

    def key(self, name: str) -> str:
        """Return the full path of a key: `mix[2].weight`."""
        return f"{self.place}.{name}" if self.place else name

    def wrong(self, name: str, error: str) -> None:
        """Add an error of one of the keys."""
        self.errors.add(self.key(name), error)

    def nothing_else(self) -> None:
        """Add an error for every key that was not read."""
        for name in self.values:
            if name not in self.asked:
                self.wrong(name, f"unknown key: use {', '.join(self.asked)}")

    def _value(self, name: str, *, required: bool = False) -> Any:
        self.asked.append(name)
        if required and name not in self.values:
            self.wrong(name, "missing")
        return self.values.get(name)

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._value(name, required=required)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.wrong(name, f"must be a non-empty string, not {value!r}")
            return ""
        return value

    def texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            self.wrong(name, f"must be a list of strings, not {value!r}")
            return default
        return tuple(value)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self._value(name)
        if value is None:
            return default
        if value not in choices:
            self.wrong(name, f"must be one of {', '.join(choices)}, not {value!r}")
            return default
        return str(value)

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, f"must be true or false, not {value!r}")
            return default
        return value

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        value = self._value(name)
        if value is None:
            return default
        if not _is_integer(value, low, high):
            self.wrong(name, f"must be an integer from {low:,} to {high:,}, not {value!r}")
            return default
        return int(value)

    def integers(
        self, name: str, default: tuple[int, ...], *, low: int, high: int
    ) -> tuple[int, ...]:
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, list) or not value:
            self.wrong(name, f"must be a list of integers, not {value!r}")
            return default
        for one in value:
            if not _is_integer(one, low, high):
                self.wrong(name, f"must have integers from {low:,} to {high:,}, not {one!r}")
                return default
        return tuple(value)

    def number(self, name: str, default: float, *, above: float) -> float:
        value = self._value(name)
        if value is None:
            return default
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not above < value < float("inf"):
            self.wrong(name, f"must be a number above {above:g}, not {value!r}")
            return default
        return float(value)

    def span(self, name: str, default: tuple[int, int], *, high: int) -> tuple[int, int]:
        """Return two integers in ascending order; a single integer counts as both."""
        value = self._value(name)
        if value is None:
            return default
        both = value if isinstance(value, list) else [value, value]
        if len(both) != 2 or not all(_is_integer(v, 0, high) for v in both) or both[0] > both[1]:
            self.wrong(name, f"must be [low, high], integers from 0 to {high:,}, not {value!r}")
            return default
        return (both[0], both[1])

    def table(self, name: str) -> "TomlTable | None":
        value = self._value(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(name, f"must be a table, not {value!r}")
            return None
        return TomlTable(value, self.key(name), self.errors)

    def tables(self, name: str, *, required: bool = False) -> list["TomlTable"]:
        """Return the tables of a `[[name]]`."""
        made = []
        for place, value in self.array(name, required=required):
            if isinstance(value, dict):
                made.append(TomlTable(value, place, self.errors))
            else:
                self.errors.add(place, f"must be a table, not {value!r}")
        return made

    def array(self, name: str, *, required: bool = False) -> Iterator[tuple[str, Any]]:
        """Yield the path, as `name[1]`, and the value of each member of a list."""
        value = self._value(name, required=required)
        if value is None:
            return
        if not isinstance(value, list):
            self.wrong(name, f"must be a list, not {value!r}")
            return
        if required and not value:
            self.wrong(name, "empty")
        for number, member in enumerate(value, 1):
            yield f"{self.key(name)}[{number}]", member


def _is_integer(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

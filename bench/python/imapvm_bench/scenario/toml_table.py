"""A table of a TOML file whose errors are collected, each with file and key."""

from collections.abc import Iterator, Sequence
from typing import Any


class TomlErrors:
    """What is wrong in a file, in the order it was found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[str] = []

    def add(self, key: str, error: str) -> None:
        """Note `FILE: KEY: FAULT`, once."""
        line = f"{self.file}: {key}: {error}"
        if line not in self.found:
            self.found.append(line)


class Table:
    """Values by key, each asked for by its type; what is missing or wrong gets the default."""

    def __init__(self, values: dict[str, Any], place: str, errors: TomlErrors) -> None:
        self.values = values
        self.place = place
        self.errors = errors
        self.asked: list[str] = []

    def key(self, name: str) -> str:
        """Return a key as the file's reader would point at it: `mix[2].weight`."""
        return f"{self.place}.{name}" if self.place else name

    def wrong(self, name: str, error: str) -> None:
        """Note a mistake of one of the keys."""
        self.errors.add(self.key(name), error)

    def nothing_else(self) -> None:
        """Note every key that nobody has asked for."""
        for name in self.values:
            if name not in self.asked:
                self.wrong(name, f"is not known; known here are {', '.join(self.asked)}")

    def _value(self, name: str, *, required: bool = False) -> Any:
        self.asked.append(name)
        if required and name not in self.values:
            self.wrong(name, "is missing")
        return self.values.get(name)

    def text(self, name: str, *, required: bool = False) -> str:
        value = self._value(name, required=required)
        if value is None:
            return ""
        if not isinstance(value, str) or not value.strip():
            self.wrong(name, f"is a text that is not empty, not {value!r}")
            return ""
        return value

    def texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
            self.wrong(name, f"is a list of texts, not {value!r}")
            return default
        return tuple(value)

    def choice(self, name: str, choices: Sequence[str], default: str) -> str:
        value = self._value(name)
        if value is None:
            return default
        if value not in choices:
            self.wrong(name, f"is one of {', '.join(choices)}, not {value!r}")
            return default
        return str(value)

    def boolean(self, name: str, *, default: bool) -> bool:
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.wrong(name, f"is true or false, not {value!r}")
            return default
        return value

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self._value(name)
        if value is None:
            return default
        if not _is_whole(value, least, most):
            self.wrong(name, f"is a whole number from {least:,} to {most:,}, not {value!r}")
            return default
        return int(value)

    def wholes(
        self, name: str, default: tuple[int, ...], *, least: int, most: int
    ) -> tuple[int, ...]:
        value = self._value(name)
        if value is None:
            return default
        if not isinstance(value, list) or not value:
            self.wrong(name, f"is a list of whole numbers, not {value!r}")
            return default
        for one in value:
            if not _is_whole(one, least, most):
                self.wrong(name, f"has whole numbers from {least:,} to {most:,}, not {one!r}")
                return default
        return tuple(value)

    def number(self, name: str, default: float, *, above: float) -> float:
        value = self._value(name)
        if value is None:
            return default
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not above < value < float("inf"):
            self.wrong(name, f"is a number above {above:g}, not {value!r}")
            return default
        return float(value)

    def span(self, name: str, default: tuple[int, int], *, most: int) -> tuple[int, int]:
        """Two whole numbers, the second not the smaller one; a single one is both."""
        value = self._value(name)
        if value is None:
            return default
        both = value if isinstance(value, list) else [value, value]
        if len(both) != 2 or not all(_is_whole(v, 0, most) for v in both) or both[0] > both[1]:
            self.wrong(name, f"is [least, most], whole numbers from 0 to {most:,}, not {value!r}")
            return default
        return (both[0], both[1])

    def table(self, name: str) -> "Table | None":
        value = self._value(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(name, f"is a table, not {value!r}")
            return None
        return Table(value, self.key(name), self.errors)

    def tables(self, name: str, *, required: bool = False) -> list["Table"]:
        """Tables of a `[[name]]`, counted from 1."""
        made = []
        for place, value in self.array(name, required=required):
            if isinstance(value, dict):
                made.append(Table(value, place, self.errors))
            else:
                self.errors.add(place, f"is a table, not {value!r}")
        return made

    def array(self, name: str, *, required: bool = False) -> Iterator[tuple[str, Any]]:
        """Members of a list and where each stands, as `name[1]`."""
        value = self._value(name, required=required)
        if value is None:
            return
        if not isinstance(value, list):
            self.wrong(name, f"is a list, not {value!r}")
            return
        if required and not value:
            self.wrong(name, "is empty")
        for number, member in enumerate(value, 1):
            yield f"{self.key(name)}[{number}]", member


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

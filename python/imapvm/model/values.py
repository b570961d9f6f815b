"""Values: immutable data classes that are cheap to create."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

Class = TypeVar("Class")


@dataclass_transform(frozen_default=True)
def frozen(cls: type[Class]) -> type[Class]:
    """Make a data class with slots, whose objects are equal if their fields are.

    The type checker refuses to assign to a field. At run time nothing does: `frozen=True` would set
    each field in `__init__` by a call of `object.__setattr__`. Creating an object with five fields
    would take 0.4 us instead of 0.1 us, and one APPEND creates six.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)

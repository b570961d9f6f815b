"""Results of searches with UPDATE, as a client keeps them by the responses (RFC 5267 section 4.3).

A list starts with ALL of an ESEARCH response, or empty; ADDTO and REMOVEFROM change it in the order
in which they are received. Lists of message numbers change with EXPUNGE as all message numbers do.
"""

from typing import Any

from tests.dialogues.responses.tokens import GrammarError


class LiveLists:
    """Lists of one selected mailbox, by tag."""

    def __init__(self) -> None:
        self.uids: dict[str, list[int]] = {}
        self.numbers: dict[str, list[int]] = {}
        self._unknown: set[str] = set()
        """Tags of results that were not sent whole."""

    def clear(self) -> None:
        """Forget all: another mailbox is selected."""
        self.uids.clear()
        self.numbers.clear()
        self._unknown.clear()

    def of(self, tag: str) -> list[int] | None:
        """Return the list of a command; None if it is unknown."""
        return self.uids[tag] if tag in self.uids else self.numbers.get(tag)

    def apply(self, result: dict[str, Any], count: int) -> None:
        """Apply an ESEARCH response.

        Args:
            result: its data.
            count: messages in the mailbox.

        Raises:
            GrammarError: a position does not exist, or names another message.
        """
        tag = result.get("TAG")
        if tag is None:
            return
        updates = result.get("UPDATES")
        if updates is None:
            self._start(tag, result)
            return
        if tag in self._unknown:
            return
        if "MAILBOX" in result and self.of(tag) is None:
            self.uids[tag] = []  # ESEARCH has no response without matches
        found = self.of(tag)
        if found is None:
            raise GrammarError(f"update of a result that was never sent: {tag}")
        for word, pairs in updates:
            for position, numbers in pairs:
                change(found, word, position, numbers)
        if tag in self.numbers and any(number > count for number in found):
            raise GrammarError(f"a message number above {count}: {found}")
        if len(set(found)) < len(found):
            raise GrammarError(f"a message twice in {found}")

    def expunge(self, number: int) -> None:
        """Renumber after EXPUNGE, before which REMOVEFROM must have been sent (section 4.3.4)."""
        for tag, found in self.numbers.items():
            self.numbers[tag] = [one - (one > number) for one in found if one != number]

    def forget_numbers(self) -> None:
        """Forget the lists of message numbers: VANISHED has removed an unknown number."""
        self._unknown |= self.numbers.keys()
        self.numbers.clear()

    def _start(self, tag: str, result: dict[str, Any]) -> None:
        self.uids.pop(tag, None)
        self.numbers.pop(tag, None)
        self._unknown.discard(tag)
        lists = self.uids if "UID" in result else self.numbers
        if "ALL" in result:
            lists[tag] = expanded(result["ALL"])
        elif result.keys() <= {"TAG", "UID", "MAILBOX", "UIDVALIDITY"} or result.get("COUNT") == 0:
            lists[tag] = []
        else:
            self._unknown.add(tag)


def change(found: list[int], word: str, position: int, numbers: list[int]) -> None:
    """Apply one pair of ADDTO or REMOVEFROM to a list."""
    if position == 0 and word == "ADDTO":
        found[:] = sorted({*found, *numbers})
    elif position == 0:
        if not set(numbers) <= set(found):
            raise GrammarError(f"REMOVEFROM of {numbers}, which are not all in {found}")
        found[:] = [number for number in found if number not in set(numbers)]
    elif position > len(found) + (word == "ADDTO"):
        raise GrammarError(f"no position {position} in {found}")
    elif word == "ADDTO":
        found[position - 1 : position - 1] = numbers
    else:
        at = slice(position - 1, position - 1 + len(numbers))
        if found[at] != numbers:
            raise GrammarError(f"REMOVEFROM {position} {numbers}, but it has {found[at]}")
        del found[at]


def expanded(text: bytes) -> list[int]:
    """Return the numbers of a sequence-set in their order; ranges ascend."""
    numbers: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        numbers += range(int(first), int(last or first) + 1)
    return numbers

"""Record of the recipients that have the messages of a spool file, while the file stays.

The filepool stores delivery ids for 30 days. A file may stay longer: it is held, or the store of
one of its recipients fails. So the spool has a file for each such file, `delivered/ID`, where ID is
the common prefix of its delivery ids in hexadecimal. It has 12 bytes for each recipient: the number
of the message in the file, and the id of the account.

It is written when the file is set aside or deferred, before that is visible, and removed with the
spool file.
"""

import contextlib
import os
import struct
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import trio

from imapvm.intake.spool.file import TMP, fresh_name
from imapvm.intake.spool.layout import DELIVERED
from imapvm.model.ids import AccountId

_ROW: Final = struct.Struct(">IQ")


class DeliveryRecord:
    """Record of one spool file. An absent file is an empty record."""

    def __init__(self, spool: Path, identity: bytes) -> None:
        """Read the record.

        Raises:
            OSError: it exists and cannot be read.
        """
        self._spool = spool
        self._path = spool / DELIVERED / identity.hex()
        self._accounts: defaultdict[int, set[AccountId]] = defaultdict(set)
        self._is_stored = True
        self._has_unsaved = False
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._is_stored = False
            return
        for number, account in _ROW.iter_unpack(data[: len(data) - len(data) % _ROW.size]):
            self._accounts[number].add(AccountId(account))

    def accounts(self, number: int) -> frozenset[AccountId]:
        """Return the accounts that have a message of the file."""
        return frozenset(self._accounts.get(number, ()))

    def add(self, number: int, accounts: Iterable[AccountId]) -> None:
        """Add accounts that have a message, in memory."""
        known = self._accounts[number]
        before = len(known)
        known.update(accounts)
        self._has_unsaved = self._has_unsaved or len(known) > before

    async def save(self) -> None:
        """Store the record durably, if it has changed.

        Raises:
            OSError: it was not stored.
        """
        if self._has_unsaved:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._write)
            self._is_stored, self._has_unsaved = True, False

    def remove(self) -> None:
        """Remove the stored record."""
        if self._is_stored:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def _write(self) -> None:
        draft = self._spool / TMP / fresh_name()
        with draft.open("wb") as file:
            for number, accounts in self._accounts.items():
                file.write(b"".join(_ROW.pack(number, account) for account in sorted(accounts)))
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

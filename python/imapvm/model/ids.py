"""Ids and numbers as distinct types."""

from typing import Final, NewType

AccountId = NewType("AccountId", int)
"""An enrolled user. Never reused."""
MailboxId = NewType("MailboxId", int)
"""A mailbox, unique in its storage group. Never reused."""
BodyId = NewType("BodyId", int)
"""An immutable stored message, unique in its storage group. Never reused."""
ThreadId = NewType("ThreadId", int)
Uid = NewType("Uid", int)
"""RFC 9051 section 2.3.1.1."""
UID_MAX: Final = 0xFFFF_FFFF
"""Largest UID, and largest value of any number in the grammar (RFC 9051 section 9, `number`)."""
SeqNum = NewType("SeqNum", int)
"""Message sequence number: RFC 9051 section 2.3.1.2."""
ModSeq = NewType("ModSeq", int)
"""RFC 7162 section 3; per mailbox."""

"""Numbers that must not be mistaken for each other."""

from typing import NewType

AccountId = NewType("AccountId", int)
"""An enrolled user. Never reused."""
MailboxId = NewType("MailboxId", int)
"""A mailbox, unique in its storage group. Never reused."""
BodyId = NewType("BodyId", int)
"""An immutable stored message, unique in its storage group. Never reused."""
ThreadId = NewType("ThreadId", int)
Uid = NewType("Uid", int)
"""RFC 9051 section 2.3.1.1."""
SeqNum = NewType("SeqNum", int)
"""Message sequence number: RFC 9051 section 2.3.1.2."""
ModSeq = NewType("ModSeq", int)
"""RFC 7162 section 3; per mailbox."""

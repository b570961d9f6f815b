"""Commands that name a mailbox without selecting it."""

"""Storage of accounts, mailboxes and messages in LMDB transactions, independent of IMAP.

Callers use the modules of this package. The sub-packages are internal, from the bottom: `engine`
(environments, writer), `tables`, `operations`, `check`.
"""

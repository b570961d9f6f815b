"""What is kept: accounts, mailboxes, messages, in LMDB transactions. Knows no IMAP."""

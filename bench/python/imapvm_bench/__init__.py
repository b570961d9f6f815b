"""A load tool for any IMAP or LMTP server: how many, how fast, how long one waits."""

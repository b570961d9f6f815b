"""What the world delivers: the spool and LMTP."""

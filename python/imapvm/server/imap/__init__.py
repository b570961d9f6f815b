"""IMAP connections of one process: accepting, serving, limiting and notifying them."""

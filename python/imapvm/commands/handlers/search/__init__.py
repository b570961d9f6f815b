"""SEARCH: handler, and search of message bytes in threads."""

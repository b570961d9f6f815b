"""SEARCH: its handler, and searching message text in threads."""

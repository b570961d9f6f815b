"""SEARCH, SORT and THREAD: handlers, and reading of messages in threads."""

"""Tables of messages: bodies, index, threads, keyword sets, and the log of changes."""

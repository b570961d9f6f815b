"""The server under test: its address and users, and blocking clients for IMAP, LMTP and the spool.

Nothing here is measured: the compiled engine makes the load. What needs a scenario is in `load`.
"""

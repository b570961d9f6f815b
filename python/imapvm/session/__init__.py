"""Session of one client: protocol state, view of the selected mailbox, capabilities.

Functions of values, without I/O: sockets belong to `server`, handlers to `commands`.
"""

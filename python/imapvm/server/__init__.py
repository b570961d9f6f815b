"""Server: sockets, TLS, connections and processes.

`net` moves bytes, `imap` serves connections, `shared` is memory common to all processes,
`supervisor` is the master process; `roles` puts the tasks of one process together.
"""

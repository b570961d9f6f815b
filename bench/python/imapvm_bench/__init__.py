"""Load tool for IMAP and LMTP servers: throughput, latency, memory of idle sessions.

Packages, each importing only those before it: `server`, `corpus`, `scenario`, `load`, `idle`,
`display`, `verbs`. Nothing here imports imapvm; the comparison of servers in bench/table does.
"""

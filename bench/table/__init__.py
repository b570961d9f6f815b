"""The comparison of bench/RESULTS.md: rows, mailboxes, measurement, results and page.

How a server is installed and configured is in `bench.peers`.
"""

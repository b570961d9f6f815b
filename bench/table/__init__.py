"""The comparison of bench/RESULTS.md: rows, mailboxes, measurement, results and page."""

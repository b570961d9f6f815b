"""Load tool for IMAP and LMTP servers: throughput, latency, memory of idle sessions."""

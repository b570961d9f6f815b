"""Benchmarks: imapvm beside other servers, on loopback, in one run."""

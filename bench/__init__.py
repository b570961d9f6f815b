"""Benchmarks of imapvm and other servers, over loopback."""

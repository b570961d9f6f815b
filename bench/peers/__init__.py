"""Servers to compare: each is started private, on loopback, in its own directory."""

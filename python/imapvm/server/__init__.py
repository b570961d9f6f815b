"""Trio: listeners, transport, one task a connection."""

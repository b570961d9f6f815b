"""Shared types and limits. Imports nothing above it and does no I/O."""

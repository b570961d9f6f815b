"""Spool directory: writing, watching, reading and delivering its files."""

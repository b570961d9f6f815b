"""FETCH: its handler, streaming of long responses, and decoded parts."""

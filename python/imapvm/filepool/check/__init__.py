"""Proof of the filepool's invariants, and repairs. Reads everything; used by operators only."""

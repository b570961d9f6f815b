"""What may be said now: states, capabilities, the words of the connection."""

"""Messages made from a seed: the same for every server, every run and every machine."""

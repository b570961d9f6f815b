"""Messages made from a seed, the same on every machine, and filling mailboxes with them."""

"""Master process: worker slots, spawning, listeners that outlive a worker."""

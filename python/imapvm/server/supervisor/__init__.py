"""Master process: worker slots, spawning, and listeners that outlive a worker.

`role_process` is the other side: the main function of a spawned process.
"""

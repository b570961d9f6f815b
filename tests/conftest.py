"""How Hypothesis looks for examples: the same ones every time, or many new ones (`make soak`)."""

import os

from hypothesis import settings

# No deadlines: the machine may be busy with other tests, and time is measured in bench/.
settings.register_profile("usual", derandomize=True, deadline=None)
settings.register_profile("soak", max_examples=10_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))

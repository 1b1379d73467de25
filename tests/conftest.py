"""How many examples the property tests try: as many as each of them says, or with HYPOTHESIS_PROFILE=nightly 10,000."""

import os

from hypothesis import settings

settings.register_profile("nightly", max_examples=10_000, deadline=None)
if "HYPOTHESIS_PROFILE" in os.environ:
    settings.load_profile(os.environ["HYPOTHESIS_PROFILE"])

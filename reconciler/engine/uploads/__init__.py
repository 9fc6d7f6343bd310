"""Files received from people and CI, and units removed by hand.

Authentication, admission by the same selection as a sync, and recording as one version.
"""

__all__: list[str] = []

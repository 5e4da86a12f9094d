"""What the house shows of itself: logs, metrics, health, and the named points a test may crash at.

Plugins may import these modules; none of them knows anything of payments.
"""

"""The tiers that remember an analysis by its content key."""

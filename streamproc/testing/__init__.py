"""Public fakes with the behaviour of the real things."""

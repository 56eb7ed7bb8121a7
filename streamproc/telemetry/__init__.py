"""The closed list of metrics and log fields, the clock, the HTTP endpoints."""

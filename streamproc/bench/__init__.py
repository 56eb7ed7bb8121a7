"""Measurements against a floor and a peer, on this machine, in one run."""

"""The whole thing on real recordings, on real servers."""

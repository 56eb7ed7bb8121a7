"""Bytes to 16 kHz segments: sniff, limits, decode, resample, segment; all of it in sandboxed children."""

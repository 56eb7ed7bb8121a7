"""Waveforms to scores. Only the device process imports torch; the main process holds its handle."""

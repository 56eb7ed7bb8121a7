"""Waveforms to scores. Only the device process imports torch; the main process holds its handle."""

from streamproc.emotion.model import load_model as load_model

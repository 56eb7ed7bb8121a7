"""Whole workers on a made-up world, driven by a seed. ``python -m streamproc.testing.simulation --help`` says how."""

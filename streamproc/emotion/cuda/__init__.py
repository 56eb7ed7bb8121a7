"""The network on an NVIDIA device: few shapes, replayed graphs, transfers beside the computation. Not measured yet."""

"""FunASR as the judge, one file at a time; and its own padded batch, which has to break the bounds."""

from collections.abc import Sequence

import numpy as np
import torch

from streamproc.bench.peer import Peer
from streamproc.emotion.engine import Wave
from streamproc.emotion.network import collate
from tools.parity.ours import Value


def judge(peer: Peer, wave: Wave) -> Value:
    """What FunASR says of one file. Its embedding is the mean of its frames, taken as its own code takes it."""
    feats, scores = peer.frames(wave)
    return Value(feats, np.mean(feats, axis=0), scores)


@torch.inference_mode()
def padded(peer: Peer, waves: Sequence[Wave]) -> Sequence[Value]:
    """FunASR's forward on one padded batch with its own padding mask: what it never does, for good reason."""
    batch, counts = collate([torch.from_numpy(wave) for wave in waves])
    ends = torch.tensor([len(wave) for wave in waves])
    found = peer.network.extract_features(batch, padding_mask=torch.arange(batch.shape[1]) >= ends[:, None])["x"]
    return [_pool(peer, own[:count]) for own, count in zip(found, counts.tolist(), strict=True)]


def _pool(peer: Peer, own: torch.Tensor) -> Value:
    embedding = own.mean(0)
    return Value(own.numpy(), embedding.numpy(), torch.softmax(peer.network.proj(embedding), -1).numpy())


def parameters(peer: Peer) -> int:
    """How many numbers its network has."""
    return sum(parameter.numel() for parameter in peer.network.parameters())

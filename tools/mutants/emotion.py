"""Mistakes in the network: each of the five rules by which a padded batch equals its clips run alone, dropped."""

from tools.mutants.mutant import Mutant, NamedTests

_NETWORK = "streamproc/emotion/network.py"
_PARITY = NamedTests(("tests/parity/test_cut.py",))

NETWORK = (
    Mutant(
        "normalised after padding",
        "mean and variance of a waveform take in the zeros that it is padded with",
        _NETWORK,
        "functional.layer_norm(wave, wave.shape, eps=NORM_EPS)",
        "functional.layer_norm(functional.pad(wave, (0, batch.shape[1] - len(wave))), batch.shape[1:], eps=NORM_EPS)"
        "[: len(wave)]",
        _PARITY,
    ),
    Mutant(
        "padding inside the stem",
        "the stem's convolutions begin with a zero of their own",
        _NETWORK,
        "        batch, length, _ = x.shape\n        count",
        "        x = functional.pad(x, (0, 0, 1, 0))[:, :-1]\n        batch, length, _ = x.shape\n        count",
        _PARITY,
    ),
    Mutant(
        "zeroed once",
        "padding is zero before the first positional convolution, and not before the others",
        _NETWORK,
        "_gelu(functional.layer_norm(x, x.shape[-1:], eps=NORM_EPS)) * keep",
        "_gelu(functional.layer_norm(x, x.shape[-1:], eps=NORM_EPS))",
        _PARITY,
    ),
    Mutant(
        "padded keys seen",
        "attention looks past a clip's end",
        _NETWORK,
        "return bias if self._ended is None else bias.masked_fill(self._ended, -math.inf)",
        "return bias",
        _PARITY,
    ),
    Mutant(
        "mean over padding",
        "an embedding is the mean over the frames of the longest clip in its batch",
        _NETWORK,
        "encoded.sum(1) / frames[:, None].to(encoded.device)",
        "encoded.mean(1)",
        _PARITY,
    ),
)

"""What becomes of a training clip on its way to the network: other microphones, lines, rooms and levels."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from tools.demo.speech import RMS, SAMPLE_RATE

_EQUALISER_POINTS = 8
_EQUALISER_DB = 4.0
_TELEPHONE_HZ = 3400
_TELEPHONE_SHARE = 0.3
_MU = 255.0
_MU_LAW_SHARE = 0.2
_SNR_DB = (12.0, 45.0)
_LEVEL_DB = (-30.0, 12.0)
"""Relative to the clips' own. The network's norm has an eps, so that a very quiet clip is another clip to it."""


def augment(waves: Tensor, generator: torch.Generator) -> Tensor:
    """[B, samples] -> the same: a random equaliser, sometimes a telephone's band, noise, sometimes mu-law, a level."""
    batch, samples = waves.shape
    waves = _unit(_filtered(waves, generator))
    snr = _uniform((batch, 1), _SNR_DB, generator)
    waves = waves + 10 ** (-snr / 20) * torch.randn(batch, samples, generator=generator)
    coded = torch.rand(batch, 1, generator=generator) < _MU_LAW_SHARE
    waves = torch.where(coded, _mu_law(waves), waves)
    level = _uniform((batch, 1), _LEVEL_DB, generator)
    return RMS * waves * 10 ** (level / 20)


def _filtered(waves: Tensor, generator: torch.Generator) -> Tensor:
    batch, samples = waves.shape
    hertz = torch.fft.rfftfreq(samples, 1 / SAMPLE_RATE)
    points = _uniform((batch, 1, _EQUALISER_POINTS), (-_EQUALISER_DB, _EQUALISER_DB), generator)
    gain_db = functional.interpolate(points, size=len(hertz), mode="linear", align_corners=True)[:, 0]
    telephone = torch.rand(batch, 1, generator=generator) < _TELEPHONE_SHARE
    gain_db = gain_db - 80.0 * (telephone & (hertz > _TELEPHONE_HZ))
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waves) * 10 ** (gain_db / 20), samples)
    return filtered


def _mu_law(waves: Tensor) -> Tensor:
    """Through ITU-T G.711's curve and back at 8 bits, a clip's peak being full scale."""
    peak = waves.abs().amax(1, keepdim=True)
    curve = torch.log1p(_MU * waves.abs() / peak) / math.log1p(_MU)
    return waves.sign() * torch.expm1(torch.round(curve * 127) / 127 * math.log1p(_MU)) / _MU * peak


def _unit(waves: Tensor) -> Tensor:
    return waves / (waves.square().mean(1, keepdim=True).sqrt() + 1e-6)


def _uniform(shape: tuple[int, ...], between: tuple[float, float], generator: torch.Generator) -> Tensor:
    low, high = between
    return low + (high - low) * torch.rand(shape, generator=generator)

"""float32 weights -> int8, each by itself or together: so that the errors cancel where the inputs are alike.

A picture is nearly the same from pixel to pixel and from colour to colour. If every weight of the first convolution is
rounded by itself, the errors add up over smooth areas, and the whole network sees a wrong blue of a lake. Rounding one
weight after the other, and letting those that are still open make up for the error, keeps the sums right.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LARGEST_WEIGHT = 127  # symmetric: -128 is not used
SMALLEST = 1e-12  # what an all-zero channel is taken to reach, so that its scale is not 0
# How alike a picture's values are: neighbouring pixels, and two colours of one pixel.
PIXEL_CORRELATION, COLOUR_CORRELATION = 0.95, 0.9
DAMPING = 1e-4  # of the mean variance, added to each: keeps the inverse tame

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def weight_scales(weights: Float32) -> Float32:
    """The step of each of the K channels of float32 (K, ...): its largest weight is 127 steps."""
    largest = np.abs(weights.reshape(len(weights), -1)).max(axis=1)
    scales: Float32 = (np.maximum(largest, SMALLEST) / LARGEST_WEIGHT).astype(np.float32)
    return scales


def rounded_each(weights: Float32, scales: Float32) -> NDArray[np.int8]:
    """float32 (K, ...) in steps of `scales`, each weight to the nearest."""
    steps = weights.reshape(len(weights), -1) / scales[:, np.newaxis]
    return _whole(steps).astype(np.int8).reshape(weights.shape)


def rounded_together(weights: Float32, scales: Float32, covariance: Float64) -> NDArray[np.int8]:
    """float32 (K, ...) in steps of `scales`, the n weights of a channel rounded with regard to each other: their inputs
    have this covariance (n, n), up to a factor.

    One weight after the other is rounded, and its error is spread over the open ones so that the expected squared error
    of the output grows least: Frantar et al., "GPTQ" (2022), section 3, after Hassibi and Stork's Optimal Brain Surgeon
    (1993).
    """
    count = len(covariance)
    damped = covariance + DAMPING * np.trace(covariance) / count * np.eye(count)
    spread = np.linalg.cholesky(np.linalg.inv(damped)).T  # upper triangle
    open_steps = weights.reshape(len(weights), -1).astype(np.float64) / scales[:, np.newaxis]
    result = np.empty_like(open_steps)
    for index in range(count):
        result[:, index] = _whole(open_steps[:, index])
        error = (open_steps[:, index] - result[:, index]) / spread[index, index]
        open_steps[:, index + 1 :] -= np.outer(error, spread[index, index + 1 :])
    return result.astype(np.int8).reshape(weights.shape)


def picture_covariance(channels: int, height: int, width: int) -> Float64:
    """The covariance of a window of a picture, as weights (C, h, w) lie in memory: (n, n), n = C h w, variances of 1."""
    colours = np.full((channels, channels), COLOUR_CORRELATION)
    np.fill_diagonal(colours, 1.0)
    window: Float64 = np.kron(colours, np.kron(_along(height), _along(width)))
    return window


def _along(size: int) -> Float64:
    positions = np.arange(size)
    correlations: Float64 = np.power(PIXEL_CORRELATION, np.abs(positions[:, np.newaxis] - positions))
    return correlations


def _whole(steps: Float32 | Float64) -> Float64:
    whole: Float64 = np.clip(np.rint(steps), -LARGEST_WEIGHT, LARGEST_WEIGHT).astype(np.float64)
    return whole

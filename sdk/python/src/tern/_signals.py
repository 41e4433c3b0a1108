"""What is measured of an input as a whole: the same numbers that devices measure (`tern-stats`, `signal.rs`).

Must never break: for the same input a signal here and on the device differ by rounding only; a test compares them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = NDArray[np.float64]

SILENCE = -120.0
"""The least level, in decibels: of silence there is no logarithm."""

PROJECTIONS = 4
"""Directions that a profile looks along."""

_STEP = 0x9E37_79B9_7F4A_7C15
_MASK = (1 << 64) - 1


class Image(NamedTuple):
    """How an image lies in the elements of an input."""

    height: int
    width: int
    channels: int = 1
    channels_last: bool = True


def measured(rows: Rows, image: Image | None, series: bool) -> dict[str, NDArray[np.float64]]:
    """The signals of each row, by their names: those of images, those of a series, and projections of both."""
    mean = np.asarray(rows.mean(axis=1))
    found: dict[str, NDArray[np.float64]] = {}
    if image is not None:
        grey = _grey(rows, image)
        found["brightness"] = mean
        found["contrast"] = np.asarray(grey.std(axis=1))
        if image.height > 2 and image.width > 2:
            found["sharpness"] = _sharpness(grey, image)
    if series:
        found["level"] = _level(rows)
    centred = rows - mean[:, None]
    length = np.asarray(np.sqrt((centred**2).sum(axis=1)))
    for number in range(PROJECTIONS):
        found[f"projection-{number}"] = _projection(centred, length, number)
    return found


def _grey(rows: Rows, image: Image) -> Rows:
    """The mean of each pixel over its channels, as devices have it: of 32-bit floats."""
    pixels = image.height * image.width
    shape = (len(rows), pixels, image.channels) if image.channels_last else (len(rows), image.channels, pixels)
    grey = rows.reshape(shape).mean(axis=2 if image.channels_last else 1)
    return np.asarray(grey.astype(np.float32), np.float64)


def _sharpness(grey: Rows, image: Image) -> NDArray[np.float64]:
    """Variance of the Laplacian: what is out of focus has little."""
    g = grey.reshape(len(grey), image.height, image.width)
    laplacian = g[:, :-2, 1:-1] + g[:, 2:, 1:-1] + g[:, 1:-1, :-2] + g[:, 1:-1, 2:] - 4 * g[:, 1:-1, 1:-1]
    return np.asarray(laplacian.reshape(len(g), -1).var(axis=1))


def _level(rows: Rows) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(10 * np.log10((rows**2).mean(axis=1)), SILENCE))


def _projection(centred: Rows, length: NDArray[np.float64], number: int) -> NDArray[np.float64]:
    signs = np.concatenate([_signs(number, block) for block in range(-(-centred.shape[1] // 64))])
    along = centred @ signs[: centred.shape[1]]
    # Values that are all the same point nowhere.
    return np.asarray(np.divide(along, length, out=np.zeros_like(along), where=length > 0))


def _signs(number: int, block: int) -> NDArray[np.float64]:
    """The signs of 64 elements of a direction (SplitMix64 of its own number and the block's)."""
    state = ((number << 48 | block) + _STEP) & _MASK
    mixed = (state ^ state >> 30) * 0xBF58_476D_1CE4_E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D0_49BB_1331_11EB & _MASK
    bits = mixed ^ mixed >> 31
    return np.asarray([2.0 * (bits >> place & 1) - 1.0 for place in range(64)])

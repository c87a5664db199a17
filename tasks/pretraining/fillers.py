"""Cheap ways to fill the hidden part of an image: what a pre-trained encoder has to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csc_matrix


def visible_mean(image: NDArray[np.float64], hidden: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Every hidden pixel takes the mean colour of the visible ones.

    Args:
        image: (3,H,W); hidden pixels are not read.
        hidden: (H,W) bool, with a visible pixel at least.
    """
    filled = image.copy()
    filled[:, hidden] = image[:, ~hidden].mean(axis=1, keepdims=True)
    return filled


def harmonic(image: NDArray[np.float64], hidden: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The smoothest interpolation from the visible border: each hidden pixel is the mean of its
    neighbours inside the image (the Laplace equation, solved exactly). Arguments as above.
    """
    from scipy.sparse.linalg import splu

    filled = image.copy()
    if not hidden.any():
        return filled
    system, border = _laplace(hidden)
    solver = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0)
    visible = image.reshape(len(image), -1)[:, ~hidden.ravel()]
    filled[:, hidden] = solver.solve(border @ visible.T).T
    return filled


def _laplace(hidden: NDArray[np.bool_]) -> tuple[csc_matrix, csc_matrix]:
    """The equations of the hidden pixels: `system @ hidden values = border @ visible values`."""
    from scipy.sparse import csc_matrix

    h, w = hidden.shape
    flat = hidden.ravel()
    number = np.where(flat, np.cumsum(flat), np.cumsum(~flat)) - 1
    cells = np.arange(h * w).reshape(h, w)
    across = np.stack((cells[:, :-1].ravel(), cells[:, 1:].ravel()))
    down = np.stack((cells[:-1].ravel(), cells[1:].ravel()))
    pairs = np.concatenate((across, down, across[::-1], down[::-1]), axis=1)
    centre, other = pairs[:, flat[pairs[0]]]
    degree = np.bincount(number[centre], minlength=int(flat.sum())).astype(float)

    inside = flat[other]
    unknowns, knowns = int(flat.sum()), int((~flat).sum())
    diagonal = np.arange(unknowns)
    system = csc_matrix(
        (
            np.concatenate((degree, -np.ones(int(inside.sum())))),
            (
                np.concatenate((diagonal, number[centre[inside]])),
                np.concatenate((diagonal, number[other[inside]])),
            ),
        ),
        shape=(unknowns, unknowns),
    )
    border = csc_matrix(
        (
            np.ones(int((~inside).sum())),
            (number[centre[~inside]], number[other[~inside]]),
        ),
        shape=(unknowns, knowns),
    )
    return system, border

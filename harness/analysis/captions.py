"""What measures are called, in figures and words."""

from __future__ import annotations

from typing import NamedTuple


class Caption(NamedTuple):
    """How a measure is presented.

    Attributes:
        heading: its name.
        axis: what its values are, with the unit.
        note: how they are read, a whole sentence.
        one: whether 1 is what uniform attention gives.
        lower: of a score, whether lower is better.
    """

    heading: str
    axis: str
    note: str
    one: bool = False
    lower: bool = False


CAPTIONS = {
    "attention.distance": Caption(
        "Attention distance",
        "distance, px",
        "Mean distance between a query and what it attends to, in pixels of the input.",
    ),
    "attention.distance_relative": Caption(
        "Relative attention distance",
        "distance / uniform",
        "Attention distance divided by what uniform attention over the allowed keys gives.",
        one=True,
    ),
    "attention.entropy": Caption(
        "Attention entropy",
        "entropy, nats",
        "Entropy of the attention of a query; 0 is attention to one key.",
    ),
    "attention.entropy_relative": Caption(
        "Relative attention entropy",
        "entropy / ln(allowed keys)",
        "Attention entropy divided by the logarithm of the number of allowed keys.",
        one=True,
    ),
    "attention.nmi": Caption(
        "Mutual information of queries and keys",
        "NMI",
        "Normalised mutual information; 0 is all queries attending alike.",
    ),
    "attention.prefix_mass": Caption(
        "Attention to prefix tokens",
        "share of the attention",
        "Share of the attention of patches that goes to the class token and registers.",
    ),
    "attention.offset": Caption(
        "Length of the mean offset of heads",
        "length, px",
        "Length of the mean vector from a query to what it attends to, in pixels of the input.",
    ),
    "attention.kl": Caption(
        "KL divergence between heads",
        "KL, nats",
        "Mean over pairs of heads; 0 is heads that attend alike.",
    ),
    "attention.js": Caption(
        "JS divergence between heads",
        "JS, nats",
        "Jensen-Shannon, mean over pairs of heads; 0 is heads that attend alike, ln 2 the most.",
    ),
    "similarity.cka.tokens": Caption(
        "CKA of blocks, tokens",
        "CKA",
        "Linear CKA, unbiased minibatch estimator, of all tokens.",
    ),
    "similarity.cka.pooled": Caption(
        "CKA of blocks, pooled",
        "CKA",
        "Linear CKA, unbiased minibatch estimator, of tokens averaged over the image.",
    ),
    "similarity.cka_full.pooled": Caption(
        "CKA of blocks, pooled, full estimator",
        "CKA",
        "Linear CKA over all images at once, of tokens averaged over the image.",
    ),
    "similarity.between.tokens": Caption(
        "CKA between encoders, tokens",
        "CKA",
        "Linear CKA, unbiased minibatch estimator, of all tokens.",
    ),
    "similarity.between.pooled": Caption(
        "CKA between encoders, pooled",
        "CKA",
        "Linear CKA, unbiased minibatch estimator, of tokens averaged over the image.",
    ),
    "similarity.masked.tokens": Caption(
        "CKA of full against masked images, tokens",
        "CKA",
        "Linear CKA, unbiased minibatch estimator, of all tokens.",
    ),
    "similarity.masked.pooled": Caption(
        "CKA of full against masked images, pooled",
        "CKA",
        "Linear CKA, unbiased minibatch estimator, of tokens averaged over the image.",
    ),
    "similarity.effective_rank": Caption(
        "Effective rank",
        "effective rank",
        "Exponential of the entropy of the spectrum of the pooled features.",
    ),
    "similarity.uniformity": Caption(
        "Uniformity",
        "uniformity",
        "Of the pooled features on the sphere; lower is more even.",
    ),
    "spectrum.amplitude": Caption(
        "Fourier profile",
        "relative log amplitude",
        "Log amplitude of the token map along the half-diagonal, less that at frequency 0.",
    ),
    "spectrum.high_frequency": Caption(
        "High-frequency score",
        "relative log amplitude",
        "The Fourier profile at its highest frequency.",
    ),
    "probe.knn": Caption("k-NN probe", "accuracy", "Accuracy of the mean token's neighbours."),
    "probe.linear": Caption("Linear probe", "accuracy", "Accuracy of logistic regression."),
    "probe.depth": Caption(
        "Depth probe", "RMSE, m", "Error of ridge regression; lower is better.", lower=True
    ),
    "probe.pose": Caption("Pose probe", "OKS", "Object keypoint similarity of ridge regression."),
}
"""Measure -> caption."""
PAIRS = (
    "similarity.cka.tokens",
    "similarity.cka.pooled",
    "similarity.cka_full.pooled",
    "similarity.between.tokens",
    "similarity.between.pooled",
    "similarity.masked.tokens",
    "similarity.masked.pooled",
)
"""Measures of pairs of blocks."""

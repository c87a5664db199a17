"""The cheap fillers do what they claim, so that beating them means something."""

import numpy as np

from tasks.pretraining import fillers, masks


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hidden = masks.simmim((4, 3), 0.6, rng).repeat(8, axis=0).repeat(8, axis=1)
    return rng.random((3, 32, 24)), hidden


def test_visible_pixels_stay_and_hidden_ones_are_not_read() -> None:
    image, hidden = scene(0)
    other = image.copy()
    other[:, hidden] = np.nan
    for filler in (fillers.visible_mean, fillers.harmonic):
        filled = filler(image, hidden)
        assert np.array_equal(filled[:, ~hidden], image[:, ~hidden])
        assert np.array_equal(filled, filler(other, hidden))


def test_visible_mean_is_the_best_constant_of_the_visible_part() -> None:
    image, hidden = scene(1)
    filled = fillers.visible_mean(image, hidden)
    for channel in range(3):
        expected = image[channel][~hidden].mean()
        assert np.allclose(filled[channel][hidden], expected, rtol=0, atol=1e-12)


def test_harmonic_fill_is_the_mean_of_its_neighbours_everywhere() -> None:
    for seed in range(3):
        image, hidden = scene(seed)
        filled = fillers.harmonic(image, hidden)
        padded = np.pad(filled, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
        around = np.stack(
            [padded[:, 2:, 1:-1], padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 1:-1, :-2]]
        )
        # Exact solution: nothing but rounding is left.
        assert np.abs(np.nanmean(around, axis=0) - filled)[:, hidden].max() < 1e-12


def test_harmonic_fill_continues_a_gradient() -> None:
    hidden = np.zeros((24, 24), dtype=bool)
    hidden[8:16, 8:16] = True
    rows, columns = np.mgrid[:24, :24]
    plane = np.stack([rows * 0.5, columns - 3.0, rows + 2.0 * columns])
    assert np.allclose(fillers.harmonic(plane, hidden), plane, rtol=0, atol=1e-11)


def test_nothing_hidden_leaves_the_image() -> None:
    image, hidden = scene(2)
    assert np.array_equal(fillers.harmonic(image, np.zeros_like(hidden)), image)

"""Figures hold what the rows hold."""

import re

import numpy as np
import pytest
from PIL import Image
from scipy.stats import t

from harness.analysis import figures
from harness.analysis.figures import heads, lines, maps, offsets, spectra
from harness.analysis.inspected import Inspected
from harness.analysis.rows import Found, row
from tasks.figures import DPI
from tests.harness.analysis.synthetic import IMAGES, encoder, pair

PLAIN = encoder("plain", 1, (4,), 3)
STAGED = encoder("staged", 2, (1, 2), 2, level=1.5)
BOTH = (PLAIN, STAGED, pair(PLAIN, STAGED, (4, 3)))
STEMS = {
    "attention-distance",
    "attention-distance-relative",
    "attention-entropy",
    "attention-entropy-relative",
    "attention-nmi",
    "attention-prefix-mass",
    "attention-offsets",
    "attention-diversity",
    "similarity-cka-tokens",
    "similarity-cka-pooled",
    "similarity-cka-full-pooled",
    "similarity-between-tokens",
    "similarity-between-pooled",
    "similarity-masked-tokens",
    "similarity-masked-pooled",
    "similarity-spread",
    "spectrum-profile",
    "spectrum-high-frequency",
    "probe",
}


def only(one, measure):
    """What has the rows of one measure and no others."""
    return Inspected(one.name, {measure.split(".")[0]: Found(tuple(one.rows(measure)))})


def of(axes, gid):
    return [line for line in axes.get_lines() if line.get_gid() == gid]


def the_axes(sheets):
    return [panel.axes for sheet in sheets for panel in sheet.panels]


def test_every_measure_has_a_figure():
    assert set(figures.pages(BOTH[1:])) == STEMS


def test_a_figure_has_both_formats_and_a_marker_a_head(tmp_path):
    few = [only(one, "attention.distance") for one in BOTH[:2]]
    paths = figures.draw(few, tmp_path)
    assert [path.name for path in paths] == ["attention-distance.png", "attention-distance.svg"]
    with Image.open(paths[0]) as image:
        assert 6.5 * DPI < image.width <= 7 * DPI
        assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 20
    svg = paths[1].read_text()
    groups = re.findall(r'<g id="heads">(.*?)</g>\s*</g>', svg, re.DOTALL)
    assert [group.count("<use ") for group in groups] == [12, 6]
    assert "<dc:date>" not in svg


def test_same_rows_same_bytes(tmp_path):
    few = [only(one, measure) for one in BOTH[:2] for measure in ("attention.nmi",)]
    few += [only(PLAIN, "similarity.cka.tokens"), only(STAGED, "probe.knn")]
    first, again = (figures.draw(few, tmp_path / name) for name in "ab")
    assert [p.name for p in first] == [p.name for p in again]
    assert len(first) == 6
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_no_rows_no_figure(tmp_path):
    assert figures.draw([Inspected("a", {}), Inspected("b", {"probe": Found(())})], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_dots_are_the_heads_and_the_line_is_their_mean():
    first, second = the_axes(heads.draw(BOTH, "attention.entropy"))
    rows = PLAIN.by_head("attention.entropy")
    (dots,), (means,) = of(first, "heads"), of(first, "means")
    assert np.array_equal(dots.get_ydata(), rows.values)
    assert np.array_equal(np.rint(dots.get_xdata()), rows.blocks)
    assert len(set(dots.get_xdata())) == len(rows)
    assert np.array_equal(means.get_ydata(), PLAIN.by_block("attention.entropy").values)
    assert first.get_ylim() == second.get_ylim()


def test_bars_are_95_percent_intervals():
    (axes,) = the_axes(heads.draw([PLAIN], "attention.entropy"))
    rows = PLAIN.by_head("attention.entropy")
    ends = np.array([segment[:, 1] for segment in axes.collections[0].get_segments()])
    assert (ends[:, 1] - ends[:, 0]) / 2 == pytest.approx(rows.errors * t.ppf(0.975, IMAGES - 1))


def test_borders_of_stages_are_marked():
    _, axes = the_axes(heads.draw(BOTH, "attention.entropy"))
    assert [0.5, 0.5] in [list(line.get_xdata()) for line in axes.get_lines()]
    (axes,) = the_axes(maps.draw([STAGED], "similarity.cka.pooled"))
    marked = [list(line.get_ydata()) for line in axes.get_lines()]
    assert [0.5, 0.5] in marked


def test_lines_are_told_apart_without_colour():
    axes = the_axes(lines.draw(BOTH, lines.GROUPS["attention-diversity"]))[0]
    drawn = [container.lines[0] for container in axes.containers]
    assert np.array_equal(drawn[1].get_ydata(), STAGED.by_block("attention.kl").values)
    looks = [(line.get_linestyle(), line.get_marker()) for line in drawn]
    assert looks[0][0] != looks[1][0]
    assert looks[0][1] != looks[1][1]


@pytest.mark.parametrize(
    ("measure", "best"), [("probe.knn", np.argmax), ("probe.depth", np.argmin)]
)
def test_the_best_block_is_ringed(measure, best):
    (axes,) = the_axes(lines.draw([only(PLAIN, measure)], lines.GROUPS["probe"]))
    rows = PLAIN.by_block(measure)
    (ring,) = of(axes, "peak")
    place = best(rows.values)
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (rows.blocks[place], rows.values[place])
    assert [text.get_text() for text in axes.texts] == [str(place)]


def test_values_stand_in_the_cells_of_a_map():
    (axes,) = the_axes(maps.draw([STAGED], "similarity.cka.tokens"))
    matrix = STAGED.pairs("similarity.cka.tokens").values
    words = {tuple(map(round, text.get_position()[::-1])): text.get_text() for text in axes.texts}
    assert set(words) == set(zip(*np.nonzero(~np.isnan(matrix)), strict=True))
    for place, word in words.items():
        assert float(word) == pytest.approx(matrix[place], abs=0.0051)
        size = [text.get_fontsize() for text in axes.texts]
        assert min(size) >= 7


def test_maps_share_one_range_of_colours():
    rows = [row("similarity.cka.pooled", v, 9, block=0, other_block=1) for v in (0.2, 0.4)]
    one, two = (
        Inspected(name, {"similarity": Found((r,))}) for name, r in zip("ab", rows, strict=True)
    )
    first, second = (
        axes.images[0].get_array() for axes in the_axes(maps.draw([one, two], rows[0][0]))
    )
    assert not np.array_equal(first[0, 1], second[0, 1])
    (alone,) = the_axes(maps.draw([two], rows[0][0]))
    assert np.array_equal(alone.images[0].get_array(), second)


def test_offsets_lie_where_the_rows_say_and_down_is_down():
    (axes,) = the_axes(offsets.draw([PLAIN]))
    dots = np.concatenate([c.get_offsets() for c in axes.collections if c.get_gid()])
    expected = [PLAIN.by_head(f"attention.offset_{axis}").values for axis in "xy"]
    assert np.array_equal(dots, np.transpose(expected))
    assert axes.yaxis_inverted()


def test_offsets_of_other_heads_are_refused():
    rows = [
        r for r in PLAIN.found["attention"].rows if (r.measure, r.head) != ("attention.offset_x", 0)
    ]
    with pytest.raises(
        ValueError, match="plain: offsets across and down are not of the same heads"
    ):
        offsets.draw([Inspected("plain", {"attention": Found(tuple(rows))})])


def test_a_profile_a_block():
    first, second = the_axes(spectra.draw(BOTH))
    assert [len(axes.get_lines()) for axes in (first, second)] == [4, 3]
    line = second.get_lines()[2]
    profile = STAGED.spectra("spectrum.amplitude")[2]
    assert np.array_equal(line.get_xdata(), profile.frequencies)
    assert np.array_equal(line.get_ydata(), profile.values)
    (band,) = second.collections[2].get_paths()
    at = profile.frequencies[-1]
    ends = {y for x, y in band.vertices if x == at}
    half = profile.errors[-1] * t.ppf(0.975, IMAGES - 1)
    assert (max(ends) - min(ends)) / 2 == pytest.approx(half)


@pytest.mark.parametrize(
    "drawn",
    [
        lambda: heads.draw(BOTH, "attention.nmi"),
        lambda: lines.draw(BOTH, lines.GROUPS["similarity-spread"]),
        lambda: maps.draw(BOTH, "similarity.cka.tokens"),
        lambda: offsets.draw(BOTH),
        lambda: spectra.draw(BOTH),
    ],
    ids=["heads", "lines", "maps", "offsets", "spectra"],
)
def test_every_figure_says_how_many_images_it_rests_on(drawn):
    for sheet in drawn():
        words = " ".join(text.get_text() for text in sheet.panels[0].axes.figure.texts)
        assert f"Images: {IMAGES}." in words


def test_values_that_are_not_finite_are_counted_not_drawn():
    rows = [
        row("attention.nmi", v, 9, error=0.1, block=b, head=0) for b, v in enumerate((1, np.nan))
    ]
    (sheet,) = heads.draw([Inspected("a", {"attention": Found(tuple(rows))})], "attention.nmi")
    words = " ".join(text.get_text() for text in sheet.panels[0].axes.figure.texts)
    assert "not finite: 1 values" in words
    assert sheet.panels[0].axes.get_ylim()[1] < 2


def test_many_encoders_take_more_pages_of_one_height():
    many = [only(encoder(f"e{n}", n, (2,), 2), "attention.nmi") for n in range(16)]
    found = heads.draw(many, "attention.nmi")
    assert len(found) == 2
    assert sum(len(sheet.panels) for sheet in found) == 16
    assert len({axes.get_ylim() for axes in the_axes(found)}) == 1


@pytest.mark.parametrize("depths", [(1,), (120,)])
def test_one_block_and_many_are_drawn(depths, tmp_path):
    one = encoder("deep", 3, depths, 1)
    for sheet in figures.pages([only(one, "attention.distance")]).values():
        assert sheet.page.image().width < 1100
        assert len(of(sheet.panels[0].axes, "heads")[0].get_xdata()) == depths[0]

"""The page of attention maps holds the maps that it was given."""

import base64
import io
import json
import re
import shutil
import subprocess
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from backbones.contract import WindowAttention
from harness.analysis.attention_maps import Maps, Panel, edges
from harness.analysis.attention_page import NOTHING, grid, quantised, write
from harness.errors import UserError


def whole(seed=0, side=3, heads=2, pitch=8.0, prefix=1):
    """One window of side x side patches after prefix tokens."""
    patches = side * side
    centres = (torch.arange(side) + 0.5) * pitch
    places = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), -1).reshape(-1, 2)
    positions = torch.cat([torch.full((prefix, 2), torch.nan), places])[None]
    scores = torch.randn(
        2, 1, heads, *[patches + prefix] * 2, generator=torch.Generator().manual_seed(seed)
    )
    allowed = torch.ones(1, patches + prefix, patches + prefix, dtype=torch.bool)
    return WindowAttention(4, 0, scores.mul(2).softmax(-1), positions, positions, allowed, prefix)


def windowed(padded=False):
    """Two windows of 2 x 2 patches on 16 x 32 px; the last patch may be padding."""
    places = torch.tensor([[[4, 4], [12, 4], [4, 12], [12, 12]]]).float()
    positions = torch.cat([places, places + torch.tensor([16, 0])])
    allowed = torch.ones(2, 4, 4, dtype=torch.bool)
    allowed[0, 0, 3] = False
    if padded:
        allowed[1, 3], allowed[1, :, 3] = False, False
    weights = torch.rand(1, 2, 1, 4, 4, generator=torch.Generator().manual_seed(2))
    return WindowAttention(
        0, 0, weights / weights.sum(-1, keepdim=True), positions, positions, allowed, 0
    )


def panel(*found, name="encoder", size=(24, 24)):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    return Panel(name, pixels, tuple(Maps.of(each) for each in found))


def data_of(path):
    text = path.read_text("utf-8")
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])


def unpacked(text, dtype, *shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)


def test_the_page_decodes_to_the_given_maps(tmp_path):
    one = panel(whole())
    write(tmp_path / "page.html", [one])
    data = data_of(tmp_path / "page.html")
    (block,) = data["panels"][0]["blocks"]
    maps = one.maps[0]
    weights = unpacked(block["weights"], "u1", *maps.weights.shape)
    peaks = (unpacked(block["peaks"], "<u2", *maps.peaks().shape) / 65535) ** 2
    assert (weights[..., 0] == NOTHING).all()
    decoded = weights[..., 1:] / data["steps"] * peaks[..., None]
    step = maps.peaks()[..., None] / data["steps"] / 2
    assert (np.abs(decoded - maps.weights[..., 1:]) <= step * 1.001 + 2e-5).all()
    prefix = (unpacked(block["prefixMass"], "<u2", 1, 2, 10) / 65535) ** 2
    assert prefix == pytest.approx(maps.weights[..., 0], abs=2e-5)
    assert unpacked(block["keyCells"], "<i4", 10).tolist() == [-1, *range(9)]


def test_the_image_is_inlined_as_it_is(tmp_path):
    one = panel(whole())
    write(tmp_path / "page.html", [one])
    kind, content = data_of(tmp_path / "page.html")["panels"][0]["image"].split(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert np.array_equal(np.asarray(image), one.image)


def test_nothing_is_fetched_and_names_are_only_text(tmp_path):
    name = '</script><img src=x onerror="alert(1)">{{steps}}'
    write(tmp_path / "page.html", [panel(whole(), name=name)])
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("</script>") == 2
    assert "<img" not in text
    assert data_of(tmp_path / "page.html")["panels"][0]["name"] == name
    assert not re.search(r"https?:|//[a-z]+\.|@import|<link|src=\"|href=", text)
    assert "default-src 'none'" in text
    assert "innerHTML" not in text


def test_same_maps_same_bytes(tmp_path):
    for name in "ab":
        write(tmp_path / name, [panel(whole())])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_steps_are_the_finest_that_keep_the_page_small(tmp_path):
    one = panel(whole(side=12, pitch=2.0))
    sizes = []
    for limit in (2_000_000, 35_000, 1):
        write(tmp_path / "page.html", [one], limit)
        sizes.append(
            ((tmp_path / "page.html").stat().st_size, data_of(tmp_path / "page.html")["steps"])
        )
    assert sizes[0][1] == 254
    assert sizes[1][0] <= 35_000
    assert sizes[0][1] > sizes[1][1] > sizes[2][1] == 6


def test_three_heads_of_the_base_model_take_their_share_of_two_megabytes(tmp_path):
    path = tmp_path / "page.html"
    one = panel(whole(side=14, heads=3, pitch=16.0))
    write(path, [one], 2_000_000 * 3 // 144)
    # Beside the weights there is a page of 20 kB, once.
    assert path.stat().st_size < 2_000_000 * 3 // 144 + 20_000


def test_keys_outside_of_the_window_have_no_data():
    maps = Maps.of(windowed())
    first = maps.map_of(0, 4, 4)
    assert first.shape == (2, 4)
    assert np.isnan(first[:, 2:]).all()
    assert np.isnan(first[1, 1])
    assert first[0].tolist()[:2] == maps.weights[0, 0, 0, :2].tolist()
    assert np.isnan(maps.map_of(0, 30, 15)[:, :2]).all()


def test_padding_is_neither_query_nor_key():
    maps = Maps.of(windowed(padded=True))
    assert maps.query_lattice().cells.tolist() == [[0, 1, 4, 5], [2, 3, 6, -1]]
    assert maps.query_at(31, 15) != (1, 3)
    assert (quantised(maps, 254)[1, :, :, 3] == NOTHING).all()


def test_queries_and_keys_may_lie_on_other_grids():
    found = whole(side=4, prefix=0)
    coarse = found.query_positions.reshape(1, 2, 2, 2, 2, 2).mean(dim=(2, 4)).reshape(1, 4, 2)
    pooled = WindowAttention(
        1, 1, found.probabilities[..., :4, :], coarse, found.key_positions, found.allowed[:, :4], 0
    )
    maps = Maps.of(pooled, 1, heads=[1])
    assert maps.map_of(1, 20, 4).ravel().tolist() == maps.weights[0, 0, 1].tolist()
    assert maps.weights[0, 0] == pytest.approx(found.probabilities[1, 0, 1, :4].numpy())


def test_cells_meet_half_way_and_end_with_the_image():
    assert edges(np.array([4.0, 12.0, 20.0]), 24) == [0, 8, 16, 24]
    assert edges(np.array([4.0, 12.0]), 14) == [0, 8, 14]
    assert edges(np.array([5.0]), 24) == [0, 24]


@pytest.mark.skipif(
    shutil.which("node") is None, reason="node is not here to run the page's script"
)
@pytest.mark.parametrize("found", [whole(), windowed(), windowed(padded=True)])
def test_the_page_shows_the_map_of_the_query(tmp_path, found):
    one = panel(found, size=(16, 32) if found.probabilities.shape[1] == 2 else (24, 24))
    write(tmp_path / "page.html", [one])
    script = re.findall(r"<script>(.*?)</script>", (tmp_path / "page.html").read_text(), re.DOTALL)[
        0
    ]
    maps = one.maps[0]
    places = [(x, y) for x in (1, 13, 22) for y in (3, 12)]
    calls = f"""
    (async () => {{
      const data = {json.dumps(data_of(tmp_path / "page.html"))};
      const block = await opened(data.panels[0].blocks[0]);
      const out = {json.dumps(places)}.map(([x, y]) => {{
        const found = mapOf(block, 0, {{ x, y, token: -1 }}, data.nothing);
        return {{ ...found, cells: Array.from(found.cells) }};
      }});
      console.log(JSON.stringify(out));
    }})();"""
    ran = subprocess.run(["node", "-e", script + calls], capture_output=True, text=True, check=True)
    for place, shown in zip(places, json.loads(ran.stdout), strict=True):
        expected = maps.map_of(0, *place).ravel()
        cells = np.array(shown["cells"], float)
        assert np.array_equal(cells == NOTHING, np.isnan(expected))
        known = ~np.isnan(expected)
        assert shown["peak"] == pytest.approx(expected[known].max(), abs=2e-5)
        assert cells[known] / 254 * shown["peak"] == pytest.approx(expected[known], abs=3e-3)


def test_a_picture_of_chosen_heads():
    one = panel(whole())
    picture = grid(one, (4, 20), [(4, 0), (4, 1)])
    assert picture.mode == "RGB"
    assert picture.tobytes() == grid(one, (4, 20), [(4, 0), (4, 1)]).tobytes()
    assert picture.tobytes() != grid(one, (20, 4), [(4, 0), (4, 1)]).tobytes()


@pytest.mark.parametrize(
    ("query", "chosen", "words"),
    [
        ((4, 24), [(4, 0)], r"the query \(4, 24\) is not in 24 x 24 px"),
        ((4, 4), [(3, 0)], "no map of block 3, head 0"),
        ((4, 4), [(4, 2)], "no map of block 4, head 2"),
    ],
)
def test_a_picture_of_what_is_not_there_is_refused(query, chosen, words):
    with pytest.raises(UserError, match=words):
        grid(panel(whole()), query, chosen)


def test_heads_that_are_not_there_and_empty_pages_are_refused(tmp_path):
    with pytest.raises(UserError, match="block 4 has 2 heads, numbered from 0; heads 2 were"):
        Maps.of(whole(), heads=[2])
    for panels in ([], [panel()]):
        with pytest.raises(UserError, match="no attention maps to show"):
            write(tmp_path / "page.html", panels)

"""Every convention gives what the code that it is named after gave."""

import dataclasses

import numpy as np
import pytest
import torch

from harness.analysis.attention import CONVENTIONS
from harness.analysis.attention.cleaning import clean
from harness.analysis.attention.conventions import clmim, lite, monitor, of_name, vitan
from harness.errors import UserError
from tests.harness.analysis.attention.reference import (
    CASES,
    EXPECTED,
    SQUARE,
    attention,
    expected,
    one_window,
    patches,
    with_class_token,
)

SPLIT = {"g4_cls": [2, 1]}
ONLY_SQUARE = ("clmim", "vitan", "lite")


def close(found, wanted):
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def finished(name, case):
    """Mean over images of what the convention reports, by measure."""
    way = of_name(name)
    heads = {key: values.numpy() for key, values in way.figures(attention(case)).heads.items()}
    return {key: torch.from_numpy(v.mean(axis=0)) for key, v in way.finished(heads).items()}


def test_all_names_are_known():
    for name in CONVENTIONS:
        of_name(name)
    with pytest.raises(UserError, match="known: rule, clmim, vitan, lite, monitor"):
        of_name("raghu")


@pytest.mark.parametrize("case", SQUARE)
def test_clmim(case):
    heads = of_name("clmim").figures(attention(case)).heads
    close(heads["distance"], expected(case, "clmim.distance"))
    close(heads["nmi"], expected(case, "clmim.nmi"))


@pytest.mark.parametrize("case", SQUARE)
def test_vitan(case):
    found = of_name("vitan").figures(attention(case))
    close(found.heads["distance"], expected(case, "vitan.avg-att-dist"))
    close(found.heads["spatial_cls_att"], expected(case, "vitan.spatial-cls-att"))
    close(found.heads["stdev_over_token_pos"], expected(case, "vitan.stdev-over-token-pos"))
    close(found.block["stdev_over_head"], expected(case, "vitan.stdev-over-head"))
    over_images = finished("vitan", case)
    close(over_images["offset_x"], expected(case, "vitan.avg-x-offset"))
    close(over_images["offset_y"], expected(case, "vitan.avg-y-offset"))
    close(over_images["offset"], expected(case, "vitan.avg-att-offset"))


@pytest.mark.parametrize("case", SQUARE)
def test_lite(case):
    heads = of_name("lite").figures(attention(case)).heads
    close(heads["entropy"].mean(dim=0), expected(case, "lite.entropy"))
    close(heads["distance"].mean(dim=0), expected(case, "lite.distance"))


@pytest.mark.parametrize("case", CASES)
def test_what_needs_no_grid_is_the_same_on_every_grid(case):
    weights = patches(case)
    close(clmim.nmi(weights), expected(case, "clmim.nmi"))
    close(lite.entropy(weights).mean(dim=0), expected(case, "lite.entropy"))
    close(vitan.spatial_class_attention(weights), expected(case, "vitan.spatial-cls-att"))
    close(vitan.deviation_over_queries(weights), expected(case, "vitan.stdev-over-token-pos"))
    close(vitan.deviation_over_heads(weights), expected(case, "vitan.stdev-over-head"))


@pytest.mark.parametrize("mode", ["all", "spc", "spcpure", "cls"])
@pytest.mark.parametrize("case", CASES)
def test_vitan_weight_on_each_token(case, mode):
    name = "avg-att-on-token" if mode == "all" else f"avg-{mode}-att-on-token"
    close(vitan.on_token(with_class_token(case), mode), expected(case, f"vitan.{name}"))


@pytest.mark.parametrize("case", SQUARE)
def test_vitan_aligned_map(case):
    side = CASES[case]["grid"][0]
    close(vitan.aligned([patches(case)], side), expected(case, "vitan.avg-aligned-att-on-token"))


@pytest.mark.parametrize("case", SPLIT)
def test_images_in_batches(case):
    """Both codes have figures that depend on how images are batched."""
    batches = torch.split(patches(case), SPLIT[case])
    side = CASES[case]["grid"][0]
    name = "vitan_split.avg-aligned-att-on-token"
    close(vitan.aligned(batches, side), expected(case, name))
    assert not torch.allclose(
        expected(case, name), expected(case, "vitan.avg-aligned-att-on-token"), rtol=1e-2
    )
    for measure, of in (("entropy", lite.entropy), ("distance", lambda w: lite.distance(w, side))):
        close(
            lite.over_batches([of(batch) for batch in batches]),
            expected(case, f"lite_split.{measure}"),
        )


@pytest.mark.parametrize("case", CASES)
def test_monitor(case):
    found = of_name("monitor").figures(attention(case))
    close(found.pairs["kl"], expected(case, "kl_all_tokens.sym_kl"))
    close(found.block["head_divergence"], expected(case, "kl_all_tokens.head_divergence"))
    close(found.heads["entropy"], expected(case, "kl_all_tokens.entropy"))
    pairs = monitor.divergences(patches(case))
    close(pairs, expected(case, "kl_patches.sym_kl"))
    close(monitor.head_divergence(pairs), expected(case, "kl_patches.head_divergence"))
    close(monitor.entropy(patches(case)), expected(case, "kl_patches.entropy"))


@pytest.mark.parametrize("case", [c for c in CASES if CASES[c]["images"] > 1])
def test_monitor_of_a_batch_is_that_of_its_mean_attention(case):
    mean = patches(case).mean(dim=0, keepdim=True)
    pairs = monitor.divergences(mean)
    close(pairs[0], expected(case, "kl_patches_batchmean.sym_kl"))
    close(monitor.entropy(mean)[0], expected(case, "kl_patches_batchmean.entropy"))
    largest = expected(case, "kl_patches_batchmean.head_divergence")
    close(monitor.head_divergence(pairs)[0], largest)


@pytest.mark.parametrize("case", CASES)
def test_mass_on_prefix_tokens(case):
    close(clean(attention(case)).prefix_mass, torch.from_numpy(EXPECTED[f"{case}.dropped_mass"]))


@pytest.mark.parametrize("name", ONLY_SQUARE)
@pytest.mark.parametrize("case", ["g6x4_cls", "g6x4_nocls", "d6x4", "g9x4_cls"])
def test_grids_that_are_not_square_are_refused(case, name):
    rows, columns = CASES[case]["grid"]
    with pytest.raises(UserError, match=f"{rows}x{columns}; choose a square --input-size"):
        of_name(name).figures(attention(case))


def test_nine_by_four_is_what_the_codes_read_as_six_by_six():
    """Told to take it for 6x6, ours gives their figures: refusing it is the only difference."""
    weights = patches("g9x4_cls")
    close(clmim.distance(weights, 6), expected("g9x4_cls", "clmim.distance"))
    close(vitan.distance(weights, 6), expected("g9x4_cls", "vitan.avg-att-dist"))
    close(lite.distance(weights, 6).mean(dim=0), expected("g9x4_cls", "lite.distance"))
    aligned = expected("g9x4_cls", "vitan.avg-aligned-att-on-token")
    close(vitan.aligned([weights], 6), aligned)


def test_documented_surprises():
    """A head whose whole weight is on the class token, and one that is nearly so."""
    names = CASES["d4"]["head_names"]
    alone, heavy = names.index("one_hot_cls"), names.index("cls_heavy")
    uniform = clean(attention("d4")).layout.uniform_distance()
    theirs = {name: finished(name, "d4") for name in ONLY_SQUARE}
    assert theirs["clmim"]["distance"][alone].item() == pytest.approx(uniform)
    assert theirs["lite"]["distance"][alone].item() == pytest.approx(uniform * 14 / 16)
    assert theirs["lite"]["entropy"][alone].item() == pytest.approx(np.log(16), abs=2e-5)
    assert theirs["vitan"]["distance"][alone].item() == 0
    assert theirs["vitan"]["offset"][alone].item() == 0
    ours = finished("rule", "d4")
    assert ours["distance"][alone].item() == pytest.approx(uniform)
    assert ours["entropy_relative"][alone].item() == pytest.approx(1)
    assert theirs["clmim"]["nmi"][heavy].item() == pytest.approx(0.07483, abs=1e-5)
    assert ours["nmi"][heavy].item() == pytest.approx(0.13952, abs=1e-5)


@pytest.mark.parametrize("name", [name for name in CONVENTIONS if name != "rule"])
def test_windows_and_stages_are_refused(name):
    found = one_window(torch.full((1, 2, 16, 16), 1 / 16), (4, 4))
    message = f"{name} is that of a code for plain ViTs.*take --convention rule"
    for change in ({"stage": 1}, {"allowed": ~torch.eye(16, dtype=torch.bool)[None]}):
        with pytest.raises(UserError, match=message):
            of_name(name).figures(dataclasses.replace(found, **change))

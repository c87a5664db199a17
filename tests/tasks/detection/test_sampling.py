"""Which candidates are trained on: mmdet's counts, and nothing but keys and numbers to choose."""

import torch

from tasks import openmmlab
from tasks.detection.parts import sampling

KEYS = torch.arange(4) * 11 + 2**50


def chosen(assigned: torch.Tensor, key: int, count: int, share: float) -> list[list[int]]:
    numbers = torch.arange(len(assigned))
    drawn = sampling.draws(torch.tensor(key), numbers, sampling.ANCHORS)
    return [rows.tolist() for rows in sampling.choose(assigned, drawn, count, share)]


def test_counts_are_mmdets() -> None:
    """Many and few of either kind, none at all, and shares that are no whole numbers."""
    module = openmmlab.load("mmdet.models.task_modules.samplers.random_sampler")
    result = openmmlab.load("mmdet.models.task_modules.assigners.assign_result").AssignResult
    cases = ((30, 200, 5), (3, 200, 5), (30, 4, 0), (0, 9, 9), (9, 0, 0))
    for positives, negatives, neither in cases:
        kinds = [1] * positives + [0] * negatives + [-1] * neither
        assigned = torch.tensor(kinds)[torch.randperm(len(kinds), generator=torch.Generator())]
        for count, share in ((16, 0.25), (33, 0.5), (500, 0.5)):
            sampler = module.RandomSampler(count, share, add_gt_as_proposals=False)
            given = result(1, assigned, torch.zeros(len(kinds)), torch.zeros(len(kinds)).long())
            positive = sampler._sample_pos(given, int(count * share))
            negative = sampler._sample_neg(given, count - len(positive))
            ours = chosen(assigned, 5, count, share)
            assert [len(rows) for rows in ours] == [len(positive), len(negative)]
            for rows, kind in zip(ours, (1, 0), strict=True):
                assert rows == sorted(set(rows))
                assert (assigned[rows] == kind).all()


def test_choice_depends_on_key_and_number_alone() -> None:
    """In another order, and among others that are no candidates, the same ones are chosen."""
    drawn = sampling.draws(KEYS[:, None], torch.arange(300), sampling.REGIONS)
    alone = sampling.draws(KEYS[2], torch.arange(300), sampling.REGIONS)
    assert (drawn[2] == alone).all()
    assigned = torch.arange(300) % 3 - 1
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    straight = sampling.choose(assigned, alone, 40, 0.25)
    shuffled = sampling.choose(assigned[order], alone[order], 40, 0.25)
    for one, other in zip(straight, shuffled, strict=True):
        assert sorted(order[other].tolist()) == one.tolist()


def test_choice_is_uniform_and_differs_between_samples_and_streams() -> None:
    """Of small neighbouring keys, as evaluation has them, as of large ones."""
    assigned = torch.zeros(100, dtype=torch.int64)
    times = torch.zeros(100)
    for key in range(400):
        times[chosen(assigned, key, 25, 0.5)[1]] += 1
    # Each is chosen with probability 1/4: 100 of 400 times, with deviation 8.66.
    assert (times - 100).abs().max() < 5 * 8.66
    assert 0.7 < float(times.std()) / 8.66 < 1.3
    numbers = torch.arange(5000)
    several = torch.stack(
        [sampling.draws(torch.tensor(key), numbers, stream) for key in (0, 1) for stream in (1, 2)]
    )
    correlation = torch.corrcoef(several) - torch.eye(4)
    assert correlation.abs().max() < 5 / 5000**0.5


def test_ties_are_settled_by_place() -> None:
    drawn = torch.tensor([0.5, 0.1, 0.1, 0.1, 0.0])
    positive, negative = sampling.choose(torch.tensor([0, 0, 0, 0, 1]), drawn, 3, 0.5)
    assert positive.tolist() == [4] and negative.tolist() == [1, 2]

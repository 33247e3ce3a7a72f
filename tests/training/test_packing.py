"""Rows in one sequence learn exactly what they learn alone."""

from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, MambaConfig, PreTrainedModel, Qwen3NextConfig

from modelyard.domain.errors import InvalidInputError
from modelyard.training.batches import IGNORED, NOTHING, Batch, collate
from modelyard.training.engine import AnswerLoss
from modelyard.training.packing import fill_bins, join, pack, require_packable
from modelyard.training.tokens import Example

# DeepSpeed, which the engine imports, still uses names that PyTorch has renamed.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def row(length: int, learned: int, first: int = 1) -> Example:
    ids = tuple((first + 7 * index) % 60 for index in range(length))
    return Example(ids, (False,) * (length - learned) + (True,) * learned, digest=f"{first} {length}")


def row_of(first: int, length: int, learned: int) -> Example:
    return Example(tuple(range(first, first + length)), (False,) * (length - learned) + (True,) * learned, "")


UNEVEN = [row(40, 3, 1), row(2, 1, 9), row(17, 16, 5), row(25, 20, 30), row(5, 2, 50)]


def lengths(shares: Sequence[Sequence[Sequence[Example]]]) -> list[list[list[int]]]:
    return [[[len(row.ids) for row in rows] for rows in share] for share in shares]


def test_the_longest_row_goes_first_and_each_to_the_first_bin_with_room() -> None:
    bins = fill_bins([row(length, 1) for length in (2, 5, 4, 7, 1, 3)], capacity=8)
    assert lengths([bins]) == [[[7, 1], [5, 3], [4, 2]]]


def test_a_row_longer_than_a_sequence_has_one_to_itself() -> None:
    assert lengths([fill_bins([row(12, 1), row(3, 1)], capacity=8)]) == [[[12], [3]]]


@pytest.mark.parametrize(("world", "capacity"), [(1, 10_000), (1, 45), (2, 10_000), (2, 45), (3, 41)])
def test_every_row_is_packed_once_and_all_workers_have_as_many_passes(world: int, capacity: int) -> None:
    shares = pack(UNEVEN, world, capacity)
    assert len(shares) == world
    assert len({len(share) for share in shares}) == 1
    packed = Counter(row for share in shares for rows in share for row in rows if row is not NOTHING)
    assert packed == Counter(UNEVEN)
    assert shares == pack(list(UNEVEN), world, capacity)


def test_positions_begin_anew_and_only_places_before_a_learned_token_predict() -> None:
    batch = join([row_of(10, 3, 2), row_of(20, 2, 2), row_of(30, 3, 1)])
    assert batch.input_ids.tolist() == [[10, 11, 12, 20, 21, 30, 31, 32]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 0, 1, 2]]
    assert batch.attention_mask is None
    assert (batch.predict.tolist(), batch.targets.tolist()) == ([0, 1, 3, 6], [[11, 12, 21, 32]])
    assert batch.tokens == 8


def test_a_sequence_of_nothing_teaches_nothing() -> None:
    assert (join([NOTHING]).targets == IGNORED).all()


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2
    )
    return LlamaForCausalLM(config)


def learn(model: nn.Module, batches: Sequence[Batch]) -> tuple[float, float, dict[str, Tensor]]:
    """(summed loss, tokens guessed right, gradients) of several passes."""
    model.zero_grad()
    results = [AnswerLoss(model)(batch) for batch in batches]
    torch.autograd.backward([loss for loss, _ in results])
    gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    return sum(float(loss.detach()) for loss, _ in results), sum(float(right) for _, right in results), gradients


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_rows_have_the_losses_and_gradients_of_rows_alone(model: PreTrainedModel, attention: str) -> None:
    model.set_attn_implementation(attention)
    loss, right, gradients = learn(model, [collate([row], pad_id=0) for row in UNEVEN])
    for others in ([join(UNEVEN)], [join(UNEVEN[::-1])], [join(rows) for rows in fill_bins(UNEVEN, 45)], [collate(UNEVEN, pad_id=0)]):
        found_loss, found_right, found = learn(model, others)
        assert found_loss == pytest.approx(loss, rel=1e-6)
        assert found_right == right
        assert found.keys() == gradients.keys()
        assert max(float((found[name] - gradients[name]).abs().max()) for name in gradients) < 1e-4 * max(
            float(gradient.abs().max()) for gradient in gradients.values()
        )


def test_packed_rows_have_the_logits_of_rows_alone(model: PreTrainedModel) -> None:
    batch = join(UNEVEN)
    with torch.no_grad():
        packed = model(input_ids=batch.input_ids, position_ids=batch.position_ids, use_cache=False).logits[0]
        alone = torch.cat([model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0] for row in UNEVEN])
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-5)


def test_rows_that_see_one_another_would_be_noticed(model: PreTrainedModel) -> None:
    batch = join(UNEVEN)
    running = Batch(
        batch.input_ids, None, torch.arange(batch.tokens)[None], predict=batch.predict, targets=batch.targets, tokens=batch.tokens
    )
    assert abs(learn(model, [running])[0] - learn(model, [batch])[0]) > 1e-3


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        pytest.param(MambaConfig(), "a mamba, has layers with linear_attention", id="a state that runs on"),
        pytest.param(
            Qwen3NextConfig(num_hidden_layers=4),
            "a qwen3_next, has layers with linear_attention",
            id="some layers with a state that runs on",
        ),
    ],
)
def test_a_base_that_sees_across_rows_is_refused(config: object, problem: str) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        require_packable(config)


def test_a_base_of_attention_alone_is_taken(model: PreTrainedModel) -> None:
    require_packable(model.config)

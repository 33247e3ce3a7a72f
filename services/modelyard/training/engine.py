"""The DeepSpeed engine of one worker. Knows no dataset and no Ray; torch.distributed is there already."""

import random
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepspeed
import numpy
import torch
from deepspeed.ops import __compatible_ops__
from torch import Tensor, nn

from modelyard.domain.fine_tune import FineTune
from modelyard.training.batches import IGNORED, Batch
from modelyard.training.deepspeed_config import build_config
from modelyard.training.trainable import Trainable, load_trainable

MASTER_WEIGHTS = ("single_partition_of_fp32_groups", "fp32_partitioned_groups_flat", "fp32_groups_flat_partition", "fp32_groups_flat")
"""Where the float32 weights of this worker are: ZeRO 1 and 2, ZeRO 3, bfloat16 with ZeRO 1, bfloat16 without ZeRO."""

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Place:
    """Which worker this is."""

    rank: int
    world: int
    device: torch.device


class AnswerLoss(nn.Module):
    """The summed cross-entropy of the answers; logits are computed at their positions only."""

    def __init__(self, model: Trainable) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Over all learned tokens of a batch: (the sum of their losses, float32, []; how many were guessed right, [])."""
        output = self.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            logits_to_keep=batch.predict,
            use_cache=False,
        )
        logits, targets = output.logits.flatten(0, 1).float(), batch.targets.flatten()
        loss = nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
        return loss, (logits.detach().argmax(-1) == targets).sum()


class Engine:
    """A model that learns."""

    def __init__(self, base: Path, fine_tune: FineTune, place: Place, resume_from: Path | None = None) -> None:
        """Load the base, make trainable what is asked and spread it over the workers.

        resume_from: a folder whose weights are taken instead of fresh ones.
        """
        self.fine_tune, self.place = fine_tune, place
        self._norm: float | None = None
        self.model = load_trainable(base, fine_tune, place.device, resume_from)
        if place.device.type == "cpu":
            # DeepSpeed would compile this with a C++ compiler that may not be there; gloo does the same work.
            __compatible_ops__["deepspeed_shm_comm"] = False
        deepspeed.init_distributed(dist_backend="nccl" if place.device.type == "cuda" else "gloo", verbose=False)
        loss = AnswerLoss(self.model)
        trainable = [parameter for parameter in loss.parameters() if parameter.requires_grad]
        knobs = fine_tune.hyperparameters
        self.adam = torch.optim.AdamW(trainable, lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
        self.deepspeed, *_ = deepspeed.initialize(
            model=loss, model_parameters=trainable, optimizer=self.adam, config=build_config(fine_tune, place.world)
        )

    def seed(self, step: int) -> None:
        """Make dropout a function of step and worker, so that no generator state has to be kept."""
        seed = (self.fine_tune.hyperparameters.seed * 1_000_003 + step) * 4099 + self.place.rank
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)

    def learn(self, batch: Batch, weight: float, *, last: bool) -> Tensor:
        """Add the gradient of one pass; returns its summed loss and how many tokens it guessed right, [2].

        weight: of each learned token in the sum over all passes and workers. last: whether this pass ends a step.
        """
        # As many passes as a step happens to need: packed rows take fewer than DeepSpeed was told.
        self.deepspeed.set_gradient_accumulation_boundary(last)
        loss, right = self.deepspeed(batch.to(self.place.device))
        # DeepSpeed takes the mean over workers and over the passes that it was told of.
        self.deepspeed.backward(loss * (weight * self.place.world * self.deepspeed.gradient_accumulation_steps()))
        return torch.stack([loss.detach(), right.float()])

    def advance(self, learning_rate: float) -> None:
        """Count one pass; with the last of a step, clip the gradients and change the weights."""
        for group in self.deepspeed.optimizer.param_groups:
            group["lr"] = learning_rate
        if self.deepspeed.optimizer is self.adam and self.deepspeed.is_gradient_accumulation_boundary():
            # In float32 without ZeRO, DeepSpeed clips and tells nobody what it found.
            gradients = [parameter.grad for group in self.adam.param_groups for parameter in group["params"]]
            self._norm = float(nn.utils.get_total_norm([gradient for gradient in gradients if gradient is not None]))
        self.deepspeed.step()

    def gradient_norm(self) -> float | None:
        """Of the step that was taken last, over all trainable weights and before it was clipped; None where DeepSpeed has none."""
        norm = self.deepspeed.get_global_grad_norm()
        return self._norm if norm is None else float(norm)

    def peak_bytes(self) -> int:
        """The most memory that this worker has held so far: of its GPU, else of its process."""
        if self.place.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.place.device)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

    @torch.no_grad()
    def measure(self, batch: Batch) -> Tensor:
        """The summed loss of one pass and how many tokens it guessed right, without learning, [2]."""
        self.deepspeed.eval()
        loss, right = self.deepspeed(batch.to(self.place.device))
        self.deepspeed.train()
        return torch.stack([loss, right.float()])

    def sum(self, *values: Tensor | float) -> list[float]:
        """Each number, in tensors of any shape, summed over all workers. A barrier."""
        packed = torch.cat([torch.as_tensor(value, dtype=torch.float64, device=self.place.device).flatten() for value in values])
        torch.distributed.all_reduce(packed)
        return [float(value) for value in packed]

    def weights(self) -> dict[str, Tensor]:
        """Every trainable parameter, whole, by its name in `self.model`. A barrier under ZeRO 3."""
        named = {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        with deepspeed.zero.GatheredParameters(list(named.values()), enabled=self.fine_tune.deepspeed.zero_stage == 3):
            return {name: parameter.detach().clone() for name, parameter in named.items()}

    def optimizer_state(self) -> dict[str, Tensor]:
        """This worker's share of float32 weights and Adam moments."""
        state = {}
        for index, weight in enumerate(self._masters()):
            state[f"{index}.weight"] = weight.detach()
            state |= {f"{index}.{name}": self.adam.state[weight][name] for name in MOMENTS}
        return state

    def restore_optimizer(self, state: dict[str, Tensor], step: int) -> None:
        """Take back what `optimizer_state` gave after so many steps."""
        for index, weight in enumerate(self._masters()):
            weight.data.copy_(state[f"{index}.weight"])
            moments: dict[str, Any] = {name: state[f"{index}.{name}"].to(weight.device) for name in MOMENTS}
            self.adam.state[weight] = {"step": torch.tensor(float(step)), **moments}

    @property
    def shards_optimizer(self) -> bool:
        """Whether each worker holds another part of the optimizer's state, or all hold the same."""
        return self.fine_tune.deepspeed.zero_stage > 0

    def cut_optimizer_state(self, shares: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """This worker's share out of those of any number of workers, as `optimizer_state` gave them, up to ZeRO 2.

        Those are parts of one vector, one behind the other, with zeros at its end that make all parts equally long.
        """
        state = {}
        for index, weight in enumerate(self._masters()):
            for name in ("weight", *MOMENTS):
                whole = torch.cat([share[f"{index}.{name}"].flatten() for share in shares])
                start, length = (self.place.rank * weight.numel() if self.shards_optimizer else 0), weight.numel()
                part = whole[start : start + length]
                state[f"{index}.{name}"] = nn.functional.pad(part, (0, length - len(part))).view(weight.shape)
        return state

    def _masters(self) -> list[Tensor]:
        for name in MASTER_WEIGHTS:
            if hasattr(self.deepspeed.optimizer, name):
                return list(getattr(self.deepspeed.optimizer, name))
        return [parameter for group in self.adam.param_groups for parameter in group["params"]]

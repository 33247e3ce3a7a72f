from typing import Any

import yaml

from modelyard.domain.fine_tune import FineTune
from modelyard.training.card import build_card
from modelyard.training.history import History, Point


def history(steps: int) -> History:
    points = [
        Point(
            step=step,
            loss=3.0 - step / 10,
            learning_rate=1e-3,
            learned_tokens=7,
            tokens_per_second=1.0,
            seconds=1.0,
            validation_loss=2.5 if step % 5 == 0 else None,
        )
        for step in range(1, steps + 1)
    ]
    return History(total_steps=steps, rows={}, points=points)


def lineage(**fine_tune: Any) -> dict[str, Any]:
    asked = FineTune.model_validate({"dataset": {"uri": "rows.jsonl"}, **fine_tune})
    rows = {"train": 54, "validation": 6}
    return {"version": "bot-1a2b", "datasetDigest": "d" * 64, "fineTune": asked.wire(), "rows": rows, "steps": 20, "tokens": 140}


def head_of(card: str) -> dict[str, Any]:
    head: dict[str, Any] = yaml.safe_load(card.split("---")[1])
    return head


def test_the_hub_is_told_what_it_is() -> None:
    card = build_card(lineage(quantization={"type": "nf4"}), "b" * 64, history(20))
    assert head_of(card) == {
        "base_model": "b" * 64,
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["modelyard", "sft", "lora", "nf4"],
    }


def test_whole_weights_are_no_adapter() -> None:
    card = build_card(lineage(adapter={"type": "none"}), "b" * 64, history(20))
    assert head_of(card)["library_name"] == "transformers"
    assert head_of(card)["tags"] == ["modelyard", "sft"]
    assert "All weights of base" in card


def test_people_are_told_data_losses_and_configuration() -> None:
    card = build_card(lineage(), "b" * 64, history(20))
    assert f"`rows.jsonl`, sha256 `{'d' * 64}`. Rows: 54 train, 6 validation." in card
    assert "trained by `sft` over 20 steps and 140 learned tokens." in card
    table = [line for line in card.splitlines() if line.startswith("| ")]
    assert table[1:] == [f"| {step} | {3 - step / 10:.4f} | {'2.5000' if step % 5 == 0 else ''} |" for step in range(2, 21, 2)]
    assert '"rank": 16' in card


def test_a_merge_tells_how_alike_it_answers() -> None:
    parity = {"difference": 0.0123, "agreement": 0.991, "bar": 0.03, "prompts": 8}
    merged = {"dtype": "bfloat16", "dequantizedFrom": "nf4", "parity": parity}
    card = build_card({**lineage(), "merged": merged}, "b" * 64, history(3))
    assert "An adapter merged into base" in card
    assert "logits on 8 fixed prompts differ by 0.012 (the bar is 0.03), and 99.1% of the likeliest tokens are the same." in card
    assert "The base was de-quantized from nf4, as trained." in card


def test_what_was_found_in_the_dataset_is_told() -> None:
    card = build_card({**lineage(), "data": {"duplicates": 3}}, "b" * 64, history(3))
    assert 'What was found in it:\n\n```json\n{\n  "duplicates": 3\n}\n```' in card

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from modelyard.datasets.rows import Rows
from modelyard.domain.fine_tune import Dataset
from modelyard.training.batches import IGNORED, collate
from modelyard.training.examples import prepare
from modelyard.training.preview import preview

CHAT = [
    {"role": "system", "content": "Sum."},
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "5", "weight": 0},
    {"role": "user", "content": "No. 🙂"},
    {"role": "assistant", "content": "It is 4. 🙂"},
]


@pytest.mark.parametrize(
    ("rows", "max_length", "overlong"),
    [
        pytest.param([{"messages": CHAT}], 1000, "cut", id="several turns and a weight"),
        pytest.param([{"messages": CHAT}], 75, "cut", id="a row that is cut within its answer"),
        pytest.param([{"text": "Once upon a time."}, {"text": "The end."}], 1000, "cut", id="texts"),
        pytest.param([{"text": "Once upon a time."}], 7, "split", id="a text in parts"),
    ],
)
def test_what_is_shown_is_what_the_loss_sees(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast, rows: list[Any], max_length: int, overlong: Any
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = Dataset(uri=str(path), validation_split=0, overlong=overlong)
    shown = list(preview(Rows(str(path)), dataset, max_length, tokenizer, len(rows)))
    examples = prepare(dataset, max_length, Rows(str(path)), tokenizer, {}).train
    assert len(shown) == len(examples) > 0
    for one, example in zip(shown, examples, strict=True):
        batch = collate([example], pad_id=0)
        learned = [False] * len(one.ids)
        for place, target in zip(batch.predict.tolist(), batch.targets[0].tolist(), strict=True):
            if target != IGNORED:
                learned[place + 1] = target == one.ids[place + 1]
        assert (list(one.ids), list(one.learned)) == (batch.input_ids[0].tolist(), learned)
        assert "".join(text for text, _ in one.runs) == tokenizer.decode(list(one.ids))
        assert any(one.learned)

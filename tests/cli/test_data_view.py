from modelyard.cli.data_view import LEARNED, MASKED, preview_text
from modelyard.training.preview import Preview


def test_what_is_learned_has_its_colour_and_the_rest_is_dim() -> None:
    shown = Preview("a.jsonl", 7, (1, 2, 3), (False, True, True), (("[bold]2+2?", False), ("4", True)), truncated=True)
    text = preview_text(shown, marked=False)
    assert text.plain == "── a.jsonl line 7: 3 tokens, 2 learned, truncated\n[bold]2+2?4\n"
    assert [(text.plain[span.start : span.end], span.style) for span in text.spans] == [("[bold]2+2?", MASKED), ("4", LEARNED)]

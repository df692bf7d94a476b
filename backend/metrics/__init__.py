"""How good answers are, in numbers.

`metric` says what a metric is, `library` holds them all, `names` their names and labels without what they import:

* whole answers: `answers` (exact match, similarity), `vqa`, `relaxed` (numbers), `choices` (letters), `yes_no`
* edits: `edits` (ANLS, character and word error rates)
* parts: `grounding` (boxes), `json_fields`
* wording: `bleu`, `rouge`, `cider`, over the words of `plain`

`intervals` says how sure a number is, `significance` whether two models differ, `preference` which of two people
prefer, and `proposals` which metrics suit a dataset.
"""

"""How good answers are, in numbers.

`metric` says what a metric is, `library` lists them all and proposes those that suit a dataset. One module a family:

* whole answers: `exact_match` (and similarity), `vqa_accuracy`, `relaxed_accuracy` (numbers), `choices` (letters, yes
  or no)
* read text: `edit_distance` (ANLS, character and word error rates)
* parts: `boxes`, `json_fields`
* wording: `captions` (BLEU, ROUGE-L, CIDEr)

`bootstrap` says how sure a number is, `significance` whether two models differ, and `preference` which of two models
people prefer.
"""

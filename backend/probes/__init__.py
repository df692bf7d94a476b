"""A small fixed set of questions that any model should keep answering: what is lost of it was forgotten in training.

`questions` asks them and draws what they are about; `dataset` lets them be a dataset whose rows are all held out.
"""

"""Measurements of the library's promises, each printed as one JSON object.

python -m unskew.bench attribution        time of gradient features against a floor, training and `traker`
python -m unskew.bench scale              scores of a million examples without their matrix: time and memory
python -m unskew.bench lds --set demo     how well scores predict retraining, ours and `traker`'s

`unskew bench …` runs these in a process of their own.
"""

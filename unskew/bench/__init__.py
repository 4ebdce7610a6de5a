"""Measurements of the library's promises, each printed as one JSON object.

python -m unskew.bench attribution        time of gradient features against a floor, training and `traker`
python -m unskew.bench scale              scores of a million examples without their matrix: time and memory
python -m unskew.bench lds --set demo     how well scores predict retraining, ours and `traker`'s
python -m unskew.bench evidence           how often the verdict is right, over many sets
python -m unskew.bench hard               the same where it is hard: two biases, a bias in one class, hardly an error
python -m unskew.bench rules --set tiny   which direction cut where repairs the model best
python -m unskew.bench sides --set tiny   who of the training minority is found

`unskew bench …` runs the first three in a process of their own.
"""

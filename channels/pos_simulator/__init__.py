"""A counter POS: the other end of the switch's POS door, for rehearsals and load.

It holds its keys and its card in clear: test keys and test cards only.
"""

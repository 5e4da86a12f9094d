"""The words of the house: frozen values that every other module speaks in.

Nothing here imports anything of the project outside this package, and nothing here acts.
"""

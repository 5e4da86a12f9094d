"""Configuration: YAML in, frozen values out, every mistake named by file, line and path.

``document`` reads YAML as text only, ``convert`` turns it into structs, ``schema`` is the switch's
own file, ``load`` puts them together with the plugins' schemas, ``explain`` writes the reference.
"""

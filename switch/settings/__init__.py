"""Configuration: YAML in, frozen values out, every mistake named by file, line and path.

``document`` reads YAML as text only, ``convert`` turns it into structs, ``schema`` is the switch's
own file, ``whole`` puts them together with the plugins' schemas, ``crosscheck`` asks what must fit
together, ``explain`` writes the reference.
"""

from switch.settings.document import Problem, SettingsError
from switch.settings.schema import Settings
from switch.settings.whole import load, version_of

__all__ = ["Problem", "Settings", "SettingsError", "load", "version_of"]

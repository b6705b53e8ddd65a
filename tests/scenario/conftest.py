"""All stories, wherever a test of this folder needs them."""

import importlib
import pkgutil

from tests.scenario import plots

for _found in pkgutil.iter_modules(plots.__path__):
    importlib.import_module(f"tests.scenario.plots.{_found.name}")

"""Everything that knows graphon. Names move between its minor versions: nothing else imports it."""

from importlib.metadata import version

from belay_runner.engine.graph import Definition, Execution, Invalid, Rejected
from belay_runner.engine.state import Variable

NAME = "graphon"
VERSION = version(NAME)

__all__ = ["NAME", "VERSION", "Definition", "Execution", "Invalid", "Rejected", "Variable"]

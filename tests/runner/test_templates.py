"""Templates: rendered whole, and inside a sandbox."""

import pytest
from tests.runner import dsl
from tests.runner.process import Runner


def test_a_template_is_rendered_whole(runner: Runner) -> None:
    source = "{% for n in names.split(',') %}{{ loop.index }}:{{ n | upper }} {% endfor %}"
    shout = dsl.template("shout", source, names=["start", "names"])
    told = dsl.end(told=["shout", "output"])
    runner.take(dsl.app(dsl.start(dsl.text("names")), shout, told))
    assert runner.run(names="a,b")["outputs"] == {"told": "1:A 2:B "}


@pytest.mark.parametrize(
    "source",
    [
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{{ x.__class__.__mro__[1].__subclasses__() }}",
        "{{ nobody }}",
    ],
)
def test_a_template_that_reaches_out_or_names_nothing_fails(runner: Runner, source: str) -> None:
    node = dsl.template("reach", source, x=["start", "x"])
    runner.take(dsl.app(dsl.start(dsl.text("x")), node, dsl.end(told=["reach", "output"])))
    data = runner.run(x="1")
    assert (data["status"], data["outputs"]) == ("failed", {})

"""The Grafana dashboard: the fleet, one Workflow, the operator."""

from grafana_foundation_sdk.builders import (
    common,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import VizOrientation
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Panel,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

_SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
_FLEET = 'namespace=~"$namespace"'
_ONE = 'namespace=~"$namespace", workflow="$workflow"'

AnyPanel = stat.Panel | timeseries.Panel | table.Panel | statetimeline.Panel


def text() -> str:
    """The dashboard as Grafana imports it."""
    return str(JSONEncoder(sort_keys=True, indent=2).encode(_dashboard().build())) + "\n"


def _dashboard() -> grafana.Dashboard:
    built = (
        grafana.Dashboard("Belay")
        .uid("belay")
        .tags(["belay"])
        .description("Rollouts and reverts of AI workflows")
        .refresh("30s")
        .time("now-6h", "now")
        .with_variable(grafana.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(_variable("namespace", "belay_workflow_info").multi(True).include_all(True))
        .with_variable(_variable("workflow", f"belay_workflow_info{{{_FLEET}}}"))
    )
    rows = {"Fleet": _fleet(), "Workflow $workflow": _workflow(), "Operator": _operator()}
    for title, panels in rows.items():
        built = built.with_row(grafana.Row(title))
        for panel in panels:
            built = built.with_panel(panel)
    return built


def _variable(label: str, series: str) -> grafana.QueryVariable:
    return (
        grafana.QueryVariable(label)
        .query(f"label_values({series}, {label})")
        .datasource(_SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _fleet() -> list[Builder[Panel]]:
    ended = 'belay_rollout_duration_seconds_count{part="total"}'
    phases = f"max by (namespace, workflow, phase) (belay_workflow_phase{{{_FLEET}}})"
    took = 'belay_rollout_duration_seconds_bucket{part="total"}'
    seconds = f"sum by (le) (rate({took}[$__rate_interval]))"
    return [
        _count("Workflows", f"belay_workflow_info{{{_FLEET}}}"),
        _count("Moving or waiting", _condition("Reconciling", "True")),
        _count("Someone must act", _condition("Stalled", "True"), bad=True),
        _count("Not proven to serve", _condition("Serving", "False"), bad=True),
        _count("Drifted", _condition("Drifted", "True"), bad=True),
        _count("Quarantined, wanted", f"belay_workflow_wanted_quarantined{{{_FLEET}}}", bad=True),
        _table(
            "Last outcomes that were not Promoted",
            "max by (namespace, workflow, outcome, reason) "
            f'(belay_workflow_last_outcome{{{_FLEET}, outcome!="Promoted"}})',
        ),
        _graph(
            "Workflows by phase",
            (f"count by (phase) ({phases})", "{{phase}}"),
        ),
        _graph(
            "Rollouts that ended",
            (f"sum by (outcome) (increase({ended}[$__rate_interval]))", "{{outcome}}"),
        ),
        _graph(
            "Duration of rollouts",
            (f"histogram_quantile(0.5, {seconds})", "half of them within"),
            (f"histogram_quantile(0.95, {seconds})", "95 % of them within"),
            unit="s",
        ),
        _graph(
            "Answers of checks",
            ("sum by (type, verdict) (rate(belay_checks_total[$__rate_interval]))",
             "{{type}} {{verdict}}"),
            unit="reqps",
        ),
    ]  # fmt: skip


def _workflow() -> list[Builder[Panel]]:
    return [
        _table(
            "Wanted and active",
            f"max by (namespace, desired, active) (belay_workflow_info{{{_ONE}}})",
        ),
        _table(
            "Last outcome",
            f"max by (namespace, outcome, reason) (belay_workflow_last_outcome{{{_ONE}}})",
        ),
        _value(
            "Since the last outcome",
            f"time() - max(belay_workflow_last_outcome_timestamp_seconds{{{_ONE}}})",
        ),
        _value(
            "Left until the deadline of the phase",
            f"max(belay_workflow_phase_deadline_timestamp_seconds{{{_ONE}}}) - time()",
        ).no_value("at rest"),
        _value(
            "Attempts in quarantine", f"max(belay_workflow_quarantined{{{_ONE}}})", unit="short"
        ),
        _timeline("Phase", f"max by (phase) (belay_workflow_phase{{{_ONE}}})", "{{phase}}"),
        _timeline(
            "Conditions",
            f'max by (type) (belay_workflow_condition{{{_ONE}, status="True"}})',
            "{{type}}",
        ),
        _graph(
            "Running instances of the last rollout",
            (f"max by (state) (belay_workflow_instances{{{_ONE}}})", "{{state}}"),
        ),
    ]


def _operator() -> list[Builder[Panel]]:
    failed = 'belay_api_requests_total{code=~"0|401|429|5.."}'
    failing = f"sum(rate({failed}[$__rate_interval])) or vector(0)"
    share = f"({failing}) / sum(rate(belay_api_requests_total[$__rate_interval]))"
    return [
        _graph("Leader", ("max by (instance) (belay_leader)", "{{instance}}")),
        _graph("Workflows that wait for a worker", ("max(belay_queue_depth)", "waiting")),
        _graph(
            "Ages",
            ("max(belay_queue_oldest_seconds)", "longest wait for a worker"),
            ("max(belay_watch_age_seconds)", "since events and a list agreed"),
            unit="s",
        ),
        _graph(
            "Requests to the API server",
            ("sum by (verb, code) (rate(belay_api_requests_total[$__rate_interval]))",
             "{{verb}} {{code}}"),
            unit="reqps",
        ),
        _graph(
            "Requests that failed",
            (share, "part of all"),
            unit="percentunit",
        ),
        _graph("Probing suspended", ("max(belay_probing_suspended)", "suspended")),
    ]  # fmt: skip


def _condition(kind: str, status: str) -> str:
    return f'belay_workflow_condition{{{_FLEET}, type="{kind}", status="{status}"}} == 1'


def _count(title: str, series: str, *, bad: bool = False) -> stat.Panel:
    """How many Workflows; `bad`: any at all is one too many."""
    query = f"count(max by (namespace, workflow) ({series})) or vector(0)"
    steps = [Threshold(None, "green"), *([Threshold(1, "red")] if bad else [])]
    marks = grafana.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)
    return _value(title, query, unit="short").thresholds(marks)


def _value(title: str, query: str, *, unit: str = "dtdurations") -> stat.Panel:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    panel = stat.Panel().orientation(VizOrientation.AUTO).reduce_options(last)
    panel = panel.title(title).datasource(_SOURCE).unit(unit).span(4).height(4)
    return panel.with_target(_query(query).instant())


def _table(title: str, query: str) -> table.Panel:
    panel = table.Panel().title(title).datasource(_SOURCE).span(12).height(8)
    return panel.with_target(_query(query).format(PromQueryFormat.TABLE).instant())


def _graph(title: str, *queries: tuple[str, str], unit: str = "short") -> timeseries.Panel:
    panel = timeseries.Panel().title(title).datasource(_SOURCE).unit(unit).span(12).height(8)
    for place, (query, legend) in enumerate(queries):
        panel = panel.min(0).with_target(_query(query, "ABC"[place]).legend_format(legend))
    return panel


def _timeline(title: str, query: str, legend: str) -> statetimeline.Panel:
    panel = statetimeline.Panel().title(title).datasource(_SOURCE).span(12).height(8)
    return panel.with_target(_query(query).legend_format(legend))


def _query(text: str, ref: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(text).ref_id(ref).datasource(_SOURCE)

"""For each alert: series under which it fires, when it is silent, and what it says.

Series are in promtool's notation, a value for each minute: `1x5` is 1 and five times more, `_x5`
is five minutes of nothing, `stale` ends the series.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SHOP = {"namespace": "shop", "workflow": "triage"}
_WHO = 'namespace="shop",workflow="triage"'
_INFO = {f'belay_workflow_info{{{_WHO},desired="v3",active="v2"}}': "1x60"}
_RUNS = "v2 runs, v3 is wanted."
_JOB = {"job": "belay", "namespace": "belay-system"}
_PROCESS = 'job="belay",namespace="belay-system"'


def _condition(kind: str, status: str = "True") -> str:
    return f'belay_workflow_condition{{{_WHO},type="{kind}",status="{status}"}}'


def _outcome(outcome: str, reason: str, who: str = _WHO, instance: str = "a") -> str:
    labels = f'{who},outcome="{outcome}",reason="{reason}",instance="{instance}"'
    return f"belay_workflow_last_outcome{{{labels}}}"


def _at(who: str = _WHO) -> str:
    return f"belay_workflow_last_outcome_timestamp_seconds{{{who}}}"


def _requests(code: int, values: str) -> dict[str, str]:
    return {f'belay_api_requests_total{{{_PROCESS},code="{code}"}}': values}


@dataclass(frozen=True, slots=True)
class Fires:
    """An alert that is silent, fires at some minutes, and is silent when all is well again."""

    alert: str
    series: Mapping[str, str]
    silent_before: int
    fires_at: tuple[int, ...]
    silent_after: int
    labels: Mapping[str, str]
    summary: str


@dataclass(frozen=True, slots=True)
class Silent:
    """An alert that does not fire, although something else is amiss."""

    why: str
    alert: str
    series: Mapping[str, str]
    at: int = 30


FIRES = [
    Fires(
        "BelayRolloutReverted",
        {
            _outcome("Promoted", "Promoted"): "1x1 stale _x4 1x20",
            _outcome("Reverted", "CheckFailed"): "_x2 1x4 stale",
            **_INFO,
        },
        1,
        (2, 6),
        10,
        {**SHOP, "outcome": "Reverted", "reason": "CheckFailed"},
        "The last rollout of shop/triage ended Reverted (CheckFailed). " + _RUNS,
    ),
    Fires(
        "BelayRolloutReverted",
        {
            _outcome("Reverted", "CheckFailed", instance="a"): "_x2 1x2 stale",
            _outcome("Reverted", "CheckFailed", instance="b"): "_x6 1x4 stale",
            **_INFO,
        },
        1,
        (2, 5, 6, 8),
        14,
        {**SHOP, "outcome": "Reverted", "reason": "CheckFailed"},
        "The last rollout of shop/triage ended Reverted (CheckFailed). " + _RUNS,
    ),
    Fires(
        "BelayRolloutReverted",
        {
            _outcome("Failed", "CrashLoop"): "_x2 1x4 stale",
            f'belay_workflow_info{{{_WHO},desired="v1",active=""}}': "1x60",
        },
        1,
        (2, 5),
        10,
        {**SHOP, "outcome": "Failed", "reason": "CrashLoop"},
        "The last rollout of shop/triage ended Failed (CrashLoop). Nothing that was proven runs, "
        "v1 is wanted.",
    ),
    Fires(
        "BelayRevertFailed",
        {
            _outcome("Reverted", "CheckFailed"): "1x1 stale",
            _outcome("RevertFailed", "StableFailing"): "_x2 1x4 stale",
        },
        1,
        (2, 6),
        10,
        {**SHOP, "reason": "StableFailing"},
        "shop/triage: the new revision failed, and the way back failed too (StableFailing). "
        "Nothing is known to be healthy, and Belay tries nothing more.",
    ),
    Fires(
        "BelayWorkflowStalled",
        {_condition("Stalled"): "1x20 stale", _outcome("Held", "Inconclusive"): "1x40"},
        14,
        (15, 20),
        24,
        SHOP,
        "shop/triage waits for a person. Its wish is Held (Inconclusive).",
    ),
    Fires(
        "BelayRolloutStuck",
        {
            f"belay_workflow_phase_deadline_timestamp_seconds{{{_WHO}}}": "300x9 stale",
            f'belay_workflow_phase{{{_WHO},phase="Delivering"}}': "1x9 stale",
        },
        7,
        (8,),
        13,
        SHOP,
        "The rollout of shop/triage is 3m 0s beyond the deadline of its phase. It is in "
        "Delivering.",
    ),
    Fires(
        "BelayStableRevisionFailing",
        {
            _condition("Serving", "False"): "0x2 1x4 0x20",
            _condition("Ready", "True"): "1x30",
            **_INFO,
        },
        4,
        (5, 7),
        12,
        SHOP,
        "shop/triage: the proven revision fails its checks. v2 runs; what it depends on may have "
        "broken.",
    ),
    Fires(
        "BelayQuarantinedRevisionWanted",
        {
            _at(): "0x60",
            f"belay_workflow_wanted_quarantined{{{_WHO}}}": "1x20 stale",
            **_INFO,
        },
        15,
        (16,),
        24,
        SHOP,
        "shop/triage still wants a revision that failed 16m 0s ago; it is in quarantine and is not "
        "tried again. " + _RUNS,
    ),
    Fires(
        "BelayManyRolloutsFailed",
        {
            name: values
            for n in range(5)
            for name, values in {
                _outcome(
                    "Held" if n else "Reverted",
                    "CheckFailed",
                    f'namespace="shop",workflow="wf-{n}"',
                ): "_x5 1x60",
                _at(f'namespace="shop",workflow="wf-{n}"'): "_x5 300x60",
            }.items()
        },
        4,
        (5, 34),
        38,
        {},
        "Rollouts of 5 Workflows failed within the last 30 minutes; something that they share may "
        "have broken.",
    ),
    Fires(
        "BelayTargetDrifted",
        {_condition("Drifted"): "1x15 stale", **_INFO},
        9,
        (10, 15),
        20,
        SHOP,
        "The targets of shop/triage do not carry what Belay delivered: somebody else changed them. "
        "v2 should run.",
    ),
    Fires(
        "BelayProbingSuspended",
        {"belay_probing_suspended": "0x1 1x5 0x20"},
        2,
        (3, 7),
        11,
        {},
        "Belay lost contact to half of the Workflows that it probes, all at once; all rollouts "
        "hold.",
    ),
    Fires(
        "BelayDown",
        {f"belay_leader{{{_PROCESS}}}": "1x2 stale _x4 1x10"},
        4,
        (5, 7),
        8,
        {},
        "No process of Belay is scraped. Workflows run on, but nothing is rolled out or reverted.",
    ),
    Fires(
        "BelayNotLeading",
        {
            f'belay_leader{{{_PROCESS},pod="a"}}': "1x2 0x2 stale",
            f'belay_leader{{{_PROCESS},pod="b"}}': "0x6 1x20",
        },
        3,
        (4, 6),
        7,
        _JOB,
        "Belay runs, and none of its processes leads: nothing is rolled out or reverted.",
    ),
    Fires(
        "BelayQueueOld",
        {f"belay_queue_oldest_seconds{{{_PROCESS}}}": "0x1 90x8 0x20"},
        6,
        (7, 10),
        11,
        _JOB,
        "A Workflow waits for 1m 30s to be looked at: Belay does not keep up.",
    ),
    Fires(
        "BelayApiErrors",
        {**_requests(200, "0+90x60"), **_requests(503, "0+10x20 200x40")},
        9,
        (12, 20),
        30,
        _JOB,
        "10% of Belay's requests to the API server fail.",
    ),
]

SILENT = [
    Silent(
        "a revert has an alert of its own",
        "BelayWorkflowStalled",
        {_condition("Stalled"): "1x60", _outcome("Reverted", "CheckFailed"): "1x60"},
    ),
    Silent(
        "what is wanted in quarantine has an alert of its own",
        "BelayWorkflowStalled",
        {
            _condition("Stalled"): "1x60",
            _outcome("Refused", "Quarantined"): "1x60",
            f"belay_workflow_wanted_quarantined{{{_WHO}}}": "1x60",
        },
    ),
    Silent(
        "a drift has an alert of its own",
        "BelayWorkflowStalled",
        {_condition("Stalled"): "1x60", _condition("Drifted"): "1x60"},
    ),
    Silent(
        "all rollouts hold while contact is lost",
        "BelayRolloutStuck",
        {
            f"belay_workflow_phase_deadline_timestamp_seconds{{{_WHO}}}": "300x60",
            "belay_probing_suspended": "1x60",
        },
    ),
    Silent(
        "what runs was never proven",
        "BelayStableRevisionFailing",
        {_condition("Serving", "False"): "1x60", _condition("Ready", "True"): "0x60"},
    ),
    Silent(
        "four failures are no epidemic",
        "BelayManyRolloutsFailed",
        {
            name: values
            for n in range(4)
            for name, values in {
                _outcome("Reverted", "NotReady", f'namespace="shop",workflow="wf-{n}"'): "1x60",
                _at(f'namespace="shop",workflow="wf-{n}"'): "1500x60",
            }.items()
        },
    ),
    Silent(
        "a standby waits beside the leader",
        "BelayNotLeading",
        {
            f'belay_leader{{{_PROCESS},pod="a"}}': "1x60",
            f'belay_leader{{{_PROCESS},pod="b"}}': "0x60",
        },
    ),
    Silent(
        "conflicts and refusals are daily bread",
        "BelayApiErrors",
        {**_requests(200, "0+50x60"), **_requests(409, "0+50x60"), **_requests(404, "0+50x60")},
    ),
]

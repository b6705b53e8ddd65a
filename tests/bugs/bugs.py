"""The bugs: one change each, of one place in the operator."""

from dataclasses import dataclass

CORE = "tests/unit/core"


@dataclass(frozen=True, slots=True)
class Bug:
    """`old`, which is there exactly once, becomes `new`; `caught` fails because of that."""

    name: str
    file: str
    old: str
    new: str
    caught: str

    def __str__(self) -> str:
        return self.name


_STAY = "moves.go(seen, now, record, *moves.preview_gone(seen, rollout))"
BUGS = (
    Bug("forgets the quarantine", "core/ending.py",
        "if why.fault not in (Fault.REVISION, Fault.PERSON):",
        "if why.fault is not Fault.PERSON:", f"{CORE}/test_previewing.py"),
    Bug("promotes without moving stable", "core/phases/observing.py",
        "Outcome.PROMOTED, active=rollout.to, stable=rollout.to)",
        "Outcome.PROMOTED, active=rollout.to)", f"{CORE}/test_observing.py"),
    Bug("counts no answer as a Pass", "core/evidence/probe.py",
        "return Verdict.FAIL if another_answered or not ready else Verdict.INCONCLUSIVE",
        "return Verdict.PASS", f"{CORE}/test_proof.py"),
    Bug("counts what could not be asked as a Pass", "core/evidence/probe.py",
        "case Answer.UNASKED:\n            return Verdict.INCONCLUSIVE",
        "case Answer.UNASKED:\n            return Verdict.PASS", f"{CORE}/test_proof.py"),
    Bug("adds an Inconclusive to the passes", "core/evidence/probe.py",
        "case Verdict.INCONCLUSIVE:\n                return seen",
        "case Verdict.INCONCLUSIVE:\n                return replace(seen, passes=self.passes + 1)",
        f"{CORE}/test_proof.py"),
    Bug("keeps counting failures after a success", "core/evidence/probe.py",
        "passes=self.passes + 1,\n                    fails=0,",
        "passes=self.passes + 1,\n                    fails=self.fails,", f"{CORE}/test_proof.py"),
    Bug("grants no fresh evidence after a restart", "core/evidence/proof.py",
        "return max(rollout.deadline, seen.looking_since + grace)",
        "return rollout.deadline",
        f"{CORE}/test_people.py {CORE}/test_delivering.py {CORE}/test_proof.py"),
    Bug("passes with no pod to ask", "core/evidence/proof.py",
        "if not asked or any(", "if any(", f"{CORE}/test_proof.py"),
    Bug("takes the evidence of another phase", "core/evidence/proof.py",
        "    if seen.session != session:\n        return []\n    uids =", "    uids =",
        f"{CORE}/test_proof.py"),
    Bug("promotes in a streak of wrong answers", "core/evidence/proof.py",
        "if not any(t.passed_ever for t in tallies) or any(t.fails for t in tallies):",
        "if not any(t.passed_ever for t in tallies):", f"{CORE}/test_observing.py"),
    Bug("lets the clock of a suspended rollout run", "core/decide.py",
        "deadline = rollout.deadline + by if rollout.deadline else None",
        "deadline = rollout.deadline", f"{CORE}/test_people.py"),
    Bug("is deaf to newer wishes", "core/decide.py",
        "return not is_wished(seen.spec, rollout)", "return False", f"{CORE}/test_people.py"),
    Bug("leaves the preview pod when suspended", "core/decide.py", f"return {_STAY}",
        "return moves.go(seen, now, record)", f"{CORE}/test_people.py {CORE}/test_properties.py"),
    Bug("leaves the preview pod", "core/moves.py",
        "return rollout.activated_at is None and rollout.phase in _AFTER_PREVIEW",
        "return False", f"{CORE}/test_previewing.py"),
    Bug("deletes the preview pod before the phase is written", "core/phases/previewing.py",
        "    return moves.go(seen, now, record)\n", f"    return {_STAY}\n",
        f"{CORE}/test_previewing.py"),
    Bug("uses rollout ids again", "core/begin.py",
        "int(n) + 1 if int(generation) == seen.generation else 1", "1", f"{CORE}/test_people.py"),
    Bug("reverts to what was active, not to stable", "core/moves.py",
        "delivery_of(seen, seen.status.stable) if seen.status.stable else None",
        "delivery_of(seen, seen.status.active) if seen.status.active else None",
        f"{CORE}/test_reverting.py"),
    Bug("blames what failed before the rollout", "core/ending.py",
        "return held or (bool(why.check) and failing_before)", "return held",
        f"{CORE}/test_delivering.py {CORE}/test_observing.py {CORE}/test_reverting.py"),
    Bug("blames a foreign change on the revision", "core/ending.py",
        "if changed is None or why.fault is not Fault.REVISION:", "if changed is None or why:",
        f"{CORE}/test_observing.py {CORE}/test_delivering.py"),
    Bug("tries what is in quarantine", "core/gates.py",
        "quarantined = None if released else", "quarantined = None if seen else",
        f"{CORE}/test_gates.py {CORE}/test_people.py"),
    Bug("takes a revision that came back with other content", "core/gates.py",
        "and known.digest != revision.spec.digest", "and not revision",
        f"{CORE}/test_gates.py"),
    Bug("adopts what the target does not carry", "core/gates.py",
        "        and all(delivery_of(seen, active).arrived_at(w) for w in seen.workloads)\n", "",
        f"{CORE}/test_gates.py {CORE}/test_rest.py"),
    Bug("delivers a ConfigMap that was tampered with", "core/phases/content.py",
        "if there.content is None:", "if there is None:",
        f"{CORE}/test_delivering.py {CORE}/test_reverting.py"),
    Bug("forgets a new owner of the content", "core/phases/content.py",
        "if {w.uid for w in seen.workloads if w.found} <= there.owners:", "if there:",
        f"{CORE}/test_delivering.py {CORE}/test_delivery.py"),
    Bug("leaves the gate before the target is complete", "core/phases/verifying.py",
        "bool(pods) and all(w.completion.done for w in seen.workloads)", "bool(pods)",
        f"{CORE}/test_delivering.py"),
    Bug("observes what does not carry the delivery", "core/phases/live.py",
        "if stray is None:", "if stray or why is None:",
        f"{CORE}/test_delivering.py"),
    Bug("does not see a restart in the window", "core/phases/observing.py",
        "if restarts > before.get((workload.kind.kind, workload.name), 0):",
        "if restarts > 1_000:", f"{CORE}/test_observing.py"),
    Bug("takes a new target for the old one", "core/moves.py",
        "if workload.uid != uids.get((workload.kind.kind, workload.name)):",
        "if workload.uid is None and uids:", f"{CORE}/test_observing.py {CORE}/test_delivering.py"),
    Bug("does not tell that a rollout gave way", "core/milestones.py",
        "if entry.outcome is Outcome.SUPERSEDED:", "if entry.outcome is None:",
        f"{CORE}/test_milestones.py"),
    Bug("handles an abort again and again", "core/decide.py",
        'update={"last_handled_abort": seen.abort}', "update={}", f"{CORE}/test_people.py"),
    Bug("takes a token from before the creation for a wish", "core/rest/settled.py",
        "first = seen.status.observed_generation is None", "first = seen is None",
        f"{CORE}/test_people.py"),
    Bug("writes the status over what it has not read", "runtime/reconciler.py",
        '            "resourceVersion": metadata["resourceVersion"],\n', "",
        "tests/scenario/test_bad_weather.py"),
    Bug("does not wait as long as the server asks", "runtime/workers.py",
        "at_least=error.retry_after", "at_least=0.0", "tests/unit/runtime/test_workers.py"),
)  # fmt: skip

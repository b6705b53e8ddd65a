"""What the engine would get wrong if it were left to itself, and the cases that would show it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.runner import (
    test_claims,
    test_containers,
    test_matching,
    test_models,
    test_nodes,
    test_pausing,
    test_python,
    test_secrecy,
    test_templates,
    test_values,
)

Case = Callable[..., Any]
TRAPS: Final[Mapping[str, tuple[Case, ...]]] = {
    "T1 some Pythons keep every engine in memory": (
        test_python.test_a_python_that_leaks_with_every_run_is_refused,
        test_python.test_the_process_ends_at_once_on_such_a_python,
        test_python.test_memory_does_not_grow_with_runs,
    ),
    "T2 without jinja2 templates succeed with wrong texts": (
        test_templates.test_a_template_is_rendered_whole,
    ),
    "T3 templates are rendered without a sandbox": (
        test_templates.test_a_template_that_reaches_out_or_names_nothing_fails,
        test_models.test_a_prompt_may_be_a_template_and_is_rendered_in_the_sandbox,
    ),
    "T4 inputs that are missing or wrong are not noticed": (
        test_values.test_inputs_that_the_start_node_does_not_ask_for_are_refused,
        test_values.test_an_optional_input_that_nobody_gave_is_not_the_text_none,
    ),
    "T5 sys.files is missing, and nodes that name it fail": (
        test_values.test_a_list_operator_finds_an_empty_list_of_files,
        test_values.test_a_model_node_with_vision_finds_an_empty_list_of_files,
    ),
    "T6 outputs of answer nodes are not JSON": (
        test_values.test_outputs_of_an_answer_node_are_json,
    ),
    "T7 several processes would split the registry of runs": (
        test_python.test_one_process_serves_both_ports_and_keeps_all_runs,
    ),
    "T8 two may resume one envelope": (
        test_claims.test_an_envelope_is_claimed_once_by_many_who_try_together,
        test_claims.test_a_run_that_was_handed_over_stays_away,
    ),
    "T9 there is no dump before the last event was taken": (
        test_pausing.test_an_envelope_of_a_killed_process_ends_in_another_one_as_if_undisturbed,
        test_containers.test_an_iteration_is_paused_between_items_and_ends_in_another_process,
        test_containers.test_a_loop_is_paused_between_rounds_and_ends_in_another_process,
    ),
    "T10 edges without ids, and ids that change": (
        test_matching.test_edges_without_ids_pause_and_resume_and_other_ids_are_no_match,
        test_matching.test_a_run_migrates_only_where_nodes_and_edges_are_the_same,
    ),
    "T11 names move between minor versions": (
        test_matching.test_graphon_is_the_version_that_the_engine_was_written_for,
        test_nodes.test_every_kind_of_node_that_is_supported_is_run_here,
    ),
    "T12 errors of nodes hold tracebacks, URLs and secrets": (
        test_secrecy.test_errors_are_cut_and_free_of_secrets,
    ),
}


def test_each_trap_has_its_cases() -> None:
    told = {trap.partition(" ")[0]: [case.__name__ for case in TRAPS[trap]] for trap in TRAPS}
    assert list(told) == [f"T{n}" for n in range(1, 13)]
    assert all(names for names in told.values())

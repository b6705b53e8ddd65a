"""How our fields reach a workload: the one place that chooses the kind of write."""

from belay.core.decision import ApplyTemplate
from belay.core.delivery import Delivery, is_copied, template_patch, withdrawal
from belay.core.workloads import WorkloadView


def deliver(workload: WorkloadView, delivery: Delivery) -> ApplyTemplate:
    """What brings a content into the template."""
    return ApplyTemplate(template_patch(workload, delivery), force=is_copied(workload))


def withdraw(workload: WorkloadView, namespace: str) -> ApplyTemplate:
    """What gives the workload its own template back."""
    return ApplyTemplate(withdrawal(workload, namespace))

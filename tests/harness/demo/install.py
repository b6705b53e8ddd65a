"""Belay as a pod from deploy/base: as it is, or moved aside so that it shares a cluster."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT

from belay.shell.resources import REVISIONS, WORKFLOWS

_BASE = ROOT / "deploy/base"
_APPLY = ("apply", "--server-side", "--force-conflicts")
_KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {home}
nameSuffix: -{home}
resources: [{base}]
patches:
- target: {{kind: Deployment}}
  patch: |
    - {{op: replace, path: /spec/template/spec/containers/0/args, value: {arguments}}}
- target: {{kind: "(Cluster)?RoleBinding"}}
  patch: |
    - {{op: replace, path: /subjects/0/name, value: belay-{home}}}
    - {{op: replace, path: /subjects/0/namespace, value: {home}}}
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """One operator in a cluster. `serves`: its only namespace; None: all."""

    cluster: Cluster
    home: str = "belay-system"
    serves: str | None = None

    @property
    def deployment(self) -> str:
        """Name of the operator's Deployment, and of its ServiceAccount."""
        return "belay" if self.serves is None else f"belay-{self.home}"

    @property
    def user(self) -> str:
        """Who the operator is in the audit log."""
        return f"system:serviceaccount:{self.home}:{self.deployment}"

    def apply(self) -> None:
        """Install all of it; does not wait for the pod, but until the CRDs can be used."""
        with self._folder() as folder:
            self.cluster.kubectl(*_APPLY, "-k", folder)
        self.cluster.until_served(WORKFLOWS, REVISIONS)

    def wait(self, seconds: int = 60) -> None:
        """Wait until the operator is ready."""
        what = f"deployment/{self.deployment}"
        self.cluster.kubectl(
            "-n", self.home, "rollout", "status", what, f"--timeout={seconds}s", "--watch"
        )

    def log(self) -> str:
        """What the operator's pods have said."""
        where = ("-n", self.home, "--selector=app.kubernetes.io/name=belay")
        return self.cluster.kubectl("logs", *where, "--tail=-1", "--prefix")

    def remove(self) -> None:
        """Take away all but the CRDs: they hold what others made."""
        with self._folder() as folder:
            built = self.cluster.kubectl("kustomize", folder)
        ours = [
            each for each in yaml.safe_load_all(built) if each["kind"] != "CustomResourceDefinition"
        ]
        self.cluster.kubectl(
            "delete",
            "--ignore-not-found",
            "--wait=false",
            "-f",
            "-",
            stdin=yaml.safe_dump_all(ours),
        )

    @contextmanager
    def _folder(self) -> Iterator[str]:
        """The kustomization to apply."""
        if self.serves is None:
            yield str(_BASE)
            return
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            text = _KUSTOMIZATION.format(
                home=self.home,
                base=os.path.relpath(_BASE, folder),
                arguments=["run", "--namespace", self.serves],
            )
            (folder / "kustomization.yaml").write_text(text)
            yield str(folder)

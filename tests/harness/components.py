"""The command lines of the control plane and the node; every fact about their flags is here."""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.harness import network
from tests.harness.certificates import Certificates, Identity

NODE_NAME = "localhost"
IDENTITIES = (
    Identity(
        "apiserver",
        "kube-apiserver",
        addresses="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,"
        f"IP:127.0.0.1,IP:{network.API_SERVICE},IP:{network.GATEWAY}",
    ),
    Identity("admin", "belay-test-admin", group="system:masters"),
    Identity("controllers", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity(
        "kubelet",
        f"system:node:{NODE_NAME}",
        group="system:nodes",
        addresses="DNS:localhost,IP:127.0.0.1",
    ),
    Identity("proxy", "system:kube-proxy"),
)
_UNLIMITED = ("--leader-elect=false", "--kube-api-qps=1000", "--kube-api-burst=2000")
"""The default limit of 20 requests a second alone delays the start by four seconds."""
_SILENT = {
    "users": ["system:apiserver", "system:kube-controller-manager", "system:kube-scheduler"],
    "groups": ["system:nodes", "system:serviceaccounts:kube-system"],
}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the components listen on loopback."""

    api: int
    etcd: int
    etcd_peer: int
    controllers: int
    scheduler: int
    kubelet: int
    kubelet_health: int
    proxy_health: int
    proxy_metrics: int

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody uses now."""
        return cls(*network.free_ports(len(cls.__dataclass_fields__)))


@dataclass(frozen=True, slots=True)
class Components:
    """Builds the command of each component from the cluster's folders and ports."""

    binaries: Path
    state: Path
    certificates: Certificates
    ports: Ports

    @property
    def server(self) -> str:
        """The API server's address for clients on this machine."""
        return f"https://127.0.0.1:{self.ports.api}"

    @property
    def audit_log(self) -> Path:
        """Where the API server writes who did what."""
        return self.state / "audit.log"

    def etcd(self, most_bytes: int | None = None) -> list[str]:
        """A throw-away etcd: nothing of it must survive a power cut. By default it holds 2 GiB."""
        client = f"http://127.0.0.1:{self.ports.etcd}"
        peer = f"http://127.0.0.1:{self.ports.etcd_peer}"
        return [
            self._program("etcd"),
            f"--data-dir={self.state}/etcd",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
            "--log-level=warn",
            *([f"--quota-backend-bytes={most_bytes}"] if most_bytes else ()),
        ]

    def api_server(self, *, pods: bool) -> list[str]:
        """The API server, with an audit log; with pods it also listens on their bridge."""
        policy = self._write("audit-policy.json", _audit_policy())
        path = self.certificates.path
        bind = ["--bind-address=127.0.0.1"]
        if pods:
            bind = ["--bind-address=0.0.0.0", f"--advertise-address={network.GATEWAY}"]
        return [
            self._program("kube-apiserver"),
            *bind,
            f"--secure-port={self.ports.api}",
            f"--etcd-servers=http://127.0.0.1:{self.ports.etcd}",
            f"--tls-cert-file={path('apiserver.crt')}",
            f"--tls-private-key-file={path('apiserver.key')}",
            f"--client-ca-file={path('ca.crt')}",
            f"--kubelet-client-certificate={path('admin.crt')}",
            f"--kubelet-client-key={path('admin.key')}",
            "--kubelet-preferred-address-types=Hostname",
            f"--service-account-key-file={path('sa.pub')}",
            f"--service-account-signing-key-file={path('sa.key')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={network.SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--profiling=false",
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
        ]

    def controllers(self) -> list[str]:
        """The controller manager."""
        return [
            self._program("kube-controller-manager"),
            *self._api("controllers"),
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports.controllers}",
            f"--service-account-private-key-file={self.certificates.path('sa.key')}",
            f"--root-ca-file={self.certificates.path('ca.crt')}",
            "--use-service-account-credentials=true",
            *_UNLIMITED,
        ]

    def scheduler(self) -> list[str]:
        """The scheduler."""
        return [
            self._program("kube-scheduler"),
            *self._api("scheduler"),
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports.scheduler}",
            *_UNLIMITED,
        ]

    def kubelet(self, containerd: Path) -> list[str]:
        """The node's agent; its settings also suit a sandbox with cgroup v1 and few rights."""
        return [
            self._program("kubelet"),
            f"--kubeconfig={self.state}/kubelet.kubeconfig",
            f"--config={self._write('kubelet.json', self._kubelet_settings(containerd))}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={network.GATEWAY}",  # there may be no default route to guess it from
            f"--root-dir={self.state}/kubelet",
            f"--cert-dir={self.state}/kubelet/pki",
        ]

    def proxy(self) -> list[str]:
        """kube-proxy. Masquerading: pods of one bridge must see a Service's answers come back."""
        return [
            self._program("kube-proxy"),
            f"--kubeconfig={self.state}/proxy.kubeconfig",
            f"--hostname-override={NODE_NAME}",
            "--proxy-mode=nftables",
            f"--cluster-cidr={network.PODS}",
            "--masquerade-all",
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
            "--bind-address=127.0.0.1",
            f"--healthz-bind-address=127.0.0.1:{self.ports.proxy_health}",
            f"--metrics-bind-address=127.0.0.1:{self.ports.proxy_metrics}",
        ]

    def write_kubeconfigs(self) -> Path:
        """One for each client; gives the administrator's."""
        for name in ("controllers", "scheduler", "kubelet", "proxy"):
            self.certificates.kubeconfig(name, self.server, self.state)
        return self.certificates.kubeconfig("admin", self.server, self.state)

    def _kubelet_settings(self, containerd: Path) -> dict[str, object]:
        path = self.certificates.path
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "127.0.0.1",
            "port": self.ports.kubelet,
            "healthzPort": self.ports.kubelet_health,
            "containerRuntimeEndpoint": f"unix://{containerd}",
            "podLogsDir": f"{self.state}/logs",
            "tlsCertFile": str(path("kubelet.crt")),
            "tlsPrivateKeyFile": str(path("kubelet.key")),
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(path("ca.crt"))},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "localStorageCapacityIsolation": False,
            "makeIPTablesUtilChains": False,
            "maxPods": 300,
            "kubeAPIQPS": 1000,
            "kubeAPIBurst": 2000,
            "eventRecordQPS": 1000,  # 0 is documented as no limit, and is client-go's 5 a second
            "eventBurst": 2000,
            "serializeImagePulls": False,
            "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
            "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
        }

    def _program(self, name: str) -> str:
        return str(self.binaries / name)

    def _api(self, identity: str) -> list[str]:
        config = f"{self.state}/{identity}.kubeconfig"
        flags = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
        return [f"--{flag}={config}" for flag in flags]

    def _write(self, name: str, content: dict[str, object]) -> Path:
        path = self.state / name
        path.write_text(json.dumps(content, indent=1))
        return path


def _audit_policy() -> dict[str, object]:
    """Everything that tests and operators do, once per call; nothing of the cluster's own parts."""
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [
            {"level": "None", "users": _SILENT["users"]},
            {"level": "None", "userGroups": _SILENT["groups"]},
            {"level": "None", "users": ["system:kube-proxy", "system:anonymous"]},
            {"level": "None", "nonResourceURLs": ["/readyz*", "/livez*", "/healthz*"]},
            {"level": "Metadata"},
        ],
    }

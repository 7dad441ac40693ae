"""What a grid has to know of the engine, Hydra's launcher, that carries its stacks."""

import os
import re
import shutil
import socket
from collections.abc import Mapping
from typing import Any

from fashion_softmax.errors import MachineError, one_line


def count_workers(launcher: Mapping[str, Any]) -> int:
    """Count the processes that train stacks at once.

    Args:
        launcher: its configuration.

    Returns:
        At least 1; 1 also where nobody knows, as on Slurm.

    Raises:
        MachineError: there is no Slurm here, or no Ray cluster at the address.
    """
    match str(launcher.get("_target_")).rpartition(".")[2]:
        case "SlurmLauncher" if not shutil.which("sbatch"):
            raise MachineError(
                "hydra/launcher=submitit_slurm: there is no sbatch here; start it on a machine that has it"
            )
        case "JoblibLauncher":
            num_jobs = launcher.get("n_jobs") or 1
            return max(1, num_jobs if num_jobs > 0 else count_cores() + 1 + num_jobs)
        case "LocalLauncher":
            return max(1, count_cores() // (launcher.get("cpus_per_task") or 1))
        case "RayLauncher":
            init = launcher["ray"]["init"]
            num_cpus = _count_cluster(init) if init.get("address") else init.get("num_cpus") or count_cores()
            return max(1, int(num_cpus // (launcher["ray"]["remote"].get("num_cpus") or 1)))
    return 1


def _count_cluster(init: Mapping[str, Any]) -> float:
    try:
        if place := re.search(r"([\w.-]+):(\d+)$", init["address"]):
            socket.create_connection((place[1], int(place[2])), timeout=10).close()  # Ray itself waits for minutes
        import ray  # an extra

        ray.init(**init)
        return float(ray.cluster_resources().get("CPU", 1))
    except (OSError, RuntimeError, ValueError) as error:
        raise MachineError(f"hydra.launcher.ray.init.address={init['address']}: {one_line(error)}") from error


def count_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""A small Ray cluster with its dashboard, until standard input ends. Its processes end with this one, however it ends.

As `ray.cluster_utils.Cluster` does it, which has no word for where it is noted down.
"""

import sys

from ray._private.node import Node
from ray._private.parameter import RayParams

port, folder = int(sys.argv[1]), sys.argv[2]
params = RayParams(
    include_dashboard=True,
    dashboard_host="127.0.0.1",
    dashboard_port=port,
    # The usual port may be another's.
    dashboard_agent_listen_port=None,
    num_cpus=2,
    num_gpus=0,
    object_store_memory=80 * 2**20,
    min_worker_port=0,
    max_worker_port=0,
    temp_dir=folder,
)
node = Node(params, head=True, shutdown_at_exit=True, spawn_reaper=True)
print("ready", flush=True)
sys.stdin.read()
node.kill_all_processes(check_alive=False, allow_graceful=True)

"""A small Ray cluster with its dashboard, until standard input ends. Its processes end with this one."""

import sys

import ray

port, folder = int(sys.argv[1]), sys.argv[2]
ray.init(
    include_dashboard=True,
    dashboard_host="127.0.0.1",
    dashboard_port=port,
    num_cpus=2,
    object_store_memory=80 * 2**20,
    _temp_dir=folder,
)
print("ready", flush=True)
sys.stdin.read()
ray.shutdown()

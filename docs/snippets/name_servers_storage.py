from agentlab import run_nameserver
from agentlab.nameserver import NameServerConfig

for kind in ["memory", "dbm", "sql"]:
    config = NameServerConfig(ns_port=0, storage_type=kind, storage_file=f"names.{kind}")
    ns = run_nameserver(config)
    ns.register("Camera", "PYRO:camera@localhost:4711", metadata={"tags": ["old"]})
    ns.shutdown()

    ns = run_nameserver(config)  # it has been away
    print(f"{kind}: {sorted(ns.list())}, with the tag: {sorted(ns.list(tag='old'))}")
    ns.shutdown()

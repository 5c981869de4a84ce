from agentlab.nameserver import read_nameserver_configs, start_ns_loop

configs = read_nameserver_configs("./ns_cfg.yml")
start_ns_loop(configs["default"], on_ready=print)

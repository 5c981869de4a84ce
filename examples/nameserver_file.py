"""Name servers described in a YAML file: two laboratories on one computer, each with names of its own.

The same file is what ``agentlab nameserver -c nameservers.yml`` serves, and with ``-l optics`` one of them alone.
"""

import tempfile
from pathlib import Path

from agentlab import run_agent, run_nameserver
from agentlab.nameserver import read_nameserver_configs

FILE = """
nameservers:
  - optics:
      ns_port: ${OPTICS_PORT:0}     # from the environment, else any free one
  - vacuum:
      ns_port: 0
      ns_autoclean: 15.0            # seconds between two looks for dead registrations
      storage_type: sql             # its names outlast the process
      storage_file: vacuum.sqlite   # beside this file
"""


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nameservers.yml"
        path.write_text(FILE, encoding="utf-8")
        configs = read_nameserver_configs(path)
        print("in the file:", list(configs))

        optics = run_nameserver(configs["optics"])
        vacuum = run_nameserver(configs["vacuum"])
        run_agent("Meter", nsaddr=optics.addr())
        run_agent("Meter", nsaddr=vacuum.addr())
        vacuum.register("gauge", "PYRO:gauge@127.0.0.1:9999")
        print("optics:", list(optics.list(prefix="Meter")))
        print("vacuum:", sorted(set(vacuum.list()) - {"Pyro.NameServer"}))

        optics.shutdown()
        vacuum.shutdown()
        vacuum = run_nameserver(configs["vacuum"])
        print("vacuum, started again:", "gauge" in vacuum.list())
        vacuum.remove("gauge")
        vacuum.shutdown()


if __name__ == "__main__":
    main()

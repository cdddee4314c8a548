"""Scripts for Node.js, which use mail libraries that web applications use."""

import json
import os
import subprocess
from pathlib import Path

from .server import ROOT

SCRIPTS = ROOT / "tests" / "blackbox" / "node"
MODULES = ROOT / ".cache" / "node" / "node_modules"


def node(script: str, scripts: Path = SCRIPTS, modules: Path = MODULES, **settings):
    """Runs a script with settings; returns the JSON that it prints."""
    # Modules are looked for next to the script: there is a copy beside the modules.
    copy = modules.parent / f"{os.getpid()}-{script}"
    copy.write_bytes((scripts / script).read_bytes())
    environment = dict(os.environ, SETTINGS=json.dumps(settings))
    try:
        done = subprocess.run(["node", str(copy)], env=environment, capture_output=True, text=True, timeout=90)
    finally:
        copy.unlink()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout)

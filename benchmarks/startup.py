"""What starting costs: `import layerloop` beside `import numpy`, and `layerloop --help`, in fresh processes in turn.

python benchmarks/startup.py [--runs 15] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python, nothing": ["-c", "pass"],
    "import numpy": ["-c", "import numpy"],
    "import numpy, layerloop": ["-c", "import numpy, layerloop"],
    "numpy, layerloop and a Chain": ["-c", "import numpy, layerloop; layerloop.Chain; layerloop.train"],
    "layerloop --help": ["-m", "layerloop", "--help"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    milliseconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(given.runs):
        for name, arguments in COMMANDS.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            milliseconds[name].append(1000 * (time.perf_counter() - begun))
    medians = {name: statistics.median(times) for name, times in milliseconds.items()}
    if given.json:
        print(json.dumps(medians))
        return
    for name, median in medians.items():
        print(f"{name:32}{median:8.1f} ms")
    added = medians["import numpy, layerloop"] - medians["import numpy"]
    print(f"{'layerloop adds to numpy':32}{added:8.1f} ms")


if __name__ == "__main__":
    main()

"""Runs one piece of work in a process of its own: python -m work ENTRY OUT JSON-OPTIONS; prints one JSON object."""

import importlib
import json
import pickle
import sys
import warnings

warnings.filterwarnings("ignore")
entry, out, options = sys.argv[1:]
module = importlib.import_module(f"work.{entry.split('-')[0]}_work")
result = module.ENTRIES[entry](out, **json.loads(options))
with open(out + ".snapshots", "wb") as file:
    pickle.dump(result.pop("snapshots", []), file)
print(json.dumps(result))

"""Code fences of the README and the docs run as tests; nothing asks the network."""

import os

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

# Before anything imports huggingface_hub: TRL reports each run to the hub otherwise.
os.environ["HF_HUB_OFFLINE"] = "1"

pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()], patterns=["README.md", "docs/*.md", "docs/trainers/*.md"]
).pytest()

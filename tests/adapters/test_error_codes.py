"""What adapters know of the service without importing it: its codes of errors."""

from __future__ import annotations

import ast

from looksee.core import errors
from tests.support.serving import ROOT


def test_codes_of_what_is_wrong_with_a_picture_are_those_of_the_service() -> None:
    """The module needs a package that is not here, so it is read."""
    tree = ast.parse((ROOT / "adapters/label_studio_backend.py").read_text())
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    (listed,) = [text for text in texts if text.startswith("corrupt_image ")]
    assert set(listed.split()) <= errors.BY_CODE.keys()

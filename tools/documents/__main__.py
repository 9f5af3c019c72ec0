"""Renew every printed table of the documents.

python -m tools.documents        # or: make docs
"""

from __future__ import annotations

from looksee.settings import tables as setting_tables
from tools.documents import pages


def main() -> None:
    for page in pages.all_pages():
        page.write_text(pages.renewed(page.read_text()))
    (pages.ROOT / ".env.example").write_text(setting_tables.dotenv())
    print("README.md, docs/ and .env.example are up to date")


if __name__ == "__main__":
    main()

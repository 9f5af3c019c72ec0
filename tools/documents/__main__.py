"""Renew every printed table of the documents, and what of the manifests is made from the registry.

python -m tools.documents        # or: make docs
"""

from __future__ import annotations

from deploy import manifests
from looksee.settings import tables as setting_tables
from tools.documents import pages


def main() -> None:
    for page in pages.all_pages():
        page.write_text(pages.renewed(page.read_text()))
    (pages.ROOT / ".env.example").write_text(setting_tables.dotenv())
    manifests.renew()
    print("README.md, docs/, .env.example and the manifests in deploy/ are up to date")


if __name__ == "__main__":
    main()

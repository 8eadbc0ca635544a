"""The shop's mesh as a module that processes load: its database is the one that the settings name."""

from __future__ import annotations

from tests.support.shop import shop_mesh

mesh = shop_mesh()
